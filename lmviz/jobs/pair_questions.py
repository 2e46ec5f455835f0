"""The questions about models that turn a source into a target, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import torch

from lmviz.config import PAIR_CORPORA
from lmviz.corpora.pairs import Pair
from lmviz.decoding.written import Written
from lmviz.errors import N_, ConfigError
from lmviz.inspect.fields import right_share
from lmviz.inspect.pair_metrics import bleu, character_error_rate, exact_match
from lmviz.inspect.pairs import by_length, example, exposure, write_all
from lmviz.jobs.of_run import Answer, model_of
from lmviz.limits import MAX_PAIR_CHARACTERS
from lmviz.models.pairs import PairModel
from lmviz.packing import pack
from lmviz.runs import Store
from lmviz.training.data import check_fingerprint
from lmviz.training.pair_data import PairData

MEASURED = 1024
"""Held-out pairs of a report; other ones than a validation's only where there are more."""
MISTAKES = 12
EXPOSED = 512
CHINESE = 0x4E00, 0x9FFF


def ask_pair_example(
    store: Store, run: str, source: str, step: int | None = None, forced: Mapping[str, Sequence[float]] | None = None
) -> Answer:  # fmt: skip
    """One piece: what a model makes of a source, see `inspect.pairs.Example`; attention packed (T, S).

    forced: step of the target, as text -> weights over the tokens of the source.
    """
    model, data, step = _of(store, run, step)
    _check(source, data)
    found = example(model, data, source, {int(place): weights for place, weights in (forced or {}).items()})
    answer = asdict(found)
    answer["attention"] = None if found.attention is None else pack(found.attention)
    yield {"run": run, "step": step, **answer}


def ask_pair_report(store: Store, run: str, step: int | None = None) -> Answer:
    """The last piece: how good it is on held-out pairs, by length too, and its first mistakes."""
    model, data, step = _of(store, run, step)
    pairs = data.held_out(MEASURED)
    written: list[Written] = []
    for some in write_all(model, data, pairs):
        written += some
        yield {"done": len(written) / len(pairs)}
    outputs, targets = [one.text for one in written], [pair.target for pair in pairs]
    aligned = data.aligned and written[0].attention is not None
    right = [pair for pair, output in zip(pairs, outputs, strict=True) if output == pair.target]
    wrong = [[p.source, out, p.target] for p, out in zip(pairs, outputs, strict=True) if out != p.target]
    yield {
        "run": run, "step": step, "pairs": len(pairs), "exact_match": exact_match(outputs, targets),
        "character_error_rate": character_error_rate(outputs, targets),
        "bleu": bleu(outputs, targets, chinese=_is_chinese(targets)),
        "right_share": right_share(written, pairs) if aligned else None,
        "uniform_share": _uniform_share(right) if aligned and right else None,
        "by_length": by_length(pairs, outputs), "mistakes": wrong[:MISTAKES],
    }  # fmt: skip


def ask_pair_exposure(store: Store, run: str, step: int | None = None) -> Answer:
    """The last piece: loss by place after right tokens and after its own; see `inspect.pairs.exposure`."""
    model, data, step = _of(store, run, step)
    pairs = data.held_out(EXPOSED)
    yield {"run": run, "step": step, **exposure(model, data, pairs, torch.Generator().manual_seed(0))}


def _of(store: Store, run: str, step: int | None) -> tuple[PairModel, PairData, int]:
    config = store.get(run).config()
    if not config.reads_pairs:
        raise ConfigError(N_("This model does not turn a source into a target. Choose one of the page Seq2Seq."))
    model, tokenizer, step = model_of(store, run, step)
    assert isinstance(model, PairModel)
    data = PairData.of(config)
    if config.corpus.name not in PAIR_CORPORA:  # the built-in ones follow their packages
        check_fingerprint(store.get(run), data.fingerprint)
    return model, PairData(data.name, data.pairs, tokenizer), step


def _check(source: str, data: PairData) -> None:
    if not source.strip():
        raise ConfigError(N_("There is no source. Type one, such as an example of the list."))
    if len(source) > MAX_PAIR_CHARACTERS:
        raise ConfigError(
            N_("The source has {count} characters, and {limit} are allowed. Type a shorter one."),
            count=len(source), limit=MAX_PAIR_CHARACTERS,
        )  # fmt: skip
    unknown = data.source_tokenizer.unknown_characters(source)
    if unknown:
        raise ConfigError(
            N_("The model has never read this: {characters}. Type another source."), characters=" ".join(unknown[:10])
        )


def _is_chinese(targets: Sequence[str]) -> bool:
    low, high = CHINESE
    return any(low <= ord(character) <= high for target in targets[:50] for character in target)


def _uniform_share(pairs: Sequence[Pair]) -> float:
    """What `right_share` would be if every step looked at all characters alike, <end> included."""
    shares = [
        pair.source_fields.count(field) / (len(pair.source) + 1)
        for pair in pairs
        for field in pair.target_fields
        if field >= 0
    ]
    return sum(shares) / len(shares)


PAIR_QUESTIONS: dict[str, Callable[..., Answer]] = {
    "pair_example": ask_pair_example,
    "pair_report": ask_pair_report,
    "pair_exposure": ask_pair_exposure,
}
