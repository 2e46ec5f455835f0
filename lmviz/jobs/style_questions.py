"""The question of the part Style: how much a label changes what a model expects."""

from collections.abc import Callable

from lmviz.corpora import Corpus
from lmviz.corpora.mixed import label, parts_of
from lmviz.errors import N_, ConfigError
from lmviz.inspect.styles import losses_under
from lmviz.jobs.of_run import Answer, model_of
from lmviz.runs import Store
from lmviz.training.data import open_corpus

PIECES = 48
"""Held-out pieces of each part."""


def ask_styles(store: Store, run: str, step: int | None = None) -> Answer:
    """The last piece: {"parts", "labels": parts and "" for none, "losses": nats a token, a row a part, a column a
    label, "right": share of the pieces whose own label gives the least loss, "pieces": of each part}.
    """
    config = store.get(run).config()
    names = parts_of(config.corpus.name)
    if len(names) < 2:
        raise ConfigError(N_("This model learned from one text, without labels. Choose one of a mixed text."))
    model, tokenizer, step = model_of(store, run, step)
    corpus = open_corpus(config.corpus)
    assert isinstance(corpus, Corpus)
    _, held_out = corpus.split(config.corpus.validation_fraction)
    labels = [*names, ""]
    losses: list[list[float]] = []
    right = total = 0
    for place, part in enumerate(names):
        before = label(part)
        texts = [one.removeprefix(before) for one in held_out[1:] if one.startswith(before)]  # the first may be cut
        texts = [text for text in texts if len(text) > 1 and not tokenizer.unknown_characters(text)][:PIECES]
        if not texts:
            raise ConfigError(N_("No held-out piece of {name} is left to measure with."), name=part)
        columns: list[list[tuple[float, int]]] = []
        for number, name in enumerate(labels):
            found: list[tuple[float, int]] = []
            for some in losses_under(model, tokenizer, texts, label(name) if name else ""):
                found += some
                done = place * len(labels) + number + len(found) / len(texts)
                yield {"done": done / (len(names) * len(labels))}
            columns.append(found)
        losses.append([sum(loss for loss, _ in one) / sum(count for _, count in one) for one in columns])
        for own in range(len(texts)):
            costs = [columns[i][own][0] for i in range(len(names))]
            right += costs[place] == min(costs)
        total += len(texts)
    yield {
        "run": run, "step": step, "parts": names, "labels": labels, "losses": losses, "right": right / total,
        "pieces": PIECES,
    }  # fmt: skip


STYLE_QUESTIONS: dict[str, Callable[..., Answer]] = {"styles": ask_styles}
