"""The questions of the part Preference: texts to choose from, and a copy of the model that learns from choices."""

import itertools
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lmviz.checkpoints import save_weights
from lmviz.decoding.batch import write_rows
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import opening
from lmviz.errors import N_, ConfigError
from lmviz.inspect.rewards import RULES
from lmviz.jobs.of_run import Answer, model_of
from lmviz.limits import (
    MAX_PREFERENCE_PARAMETERS,
    MAX_PREFERENCE_PROMPT,
    MAX_PREFERENCE_STEPS,
    MAX_PREFERENCE_TOKENS,
)  # fmt: skip
from lmviz.models.base import LanguageModel
from lmviz.runs import Run, Store
from lmviz.tokenizers import Tokenizer
from lmviz.training.preference import PreferenceLearner

BATCH = 16
"""Texts an update."""
SHOWN = 4
"""Texts before and after."""
SEEDS = MAX_PREFERENCE_STEPS * BATCH
"""Texts that one training writes at most, each with a seed of its own."""
FRESH = 2**31 - 1000
"""Seeds from here on are for the texts that are shown."""


@dataclass(frozen=True)
class Plan:
    """How it learns; fields as `ask_preference` takes them."""

    prompt: str
    method: Literal["dpo", "reinforce"]
    rule: str
    letters: str
    pairs: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    updates: int
    length: int
    beta: float
    learning_rate: float
    seed: int


def ask_preference_texts(
    store: Store, run: str, prompt: str, seeds: Sequence[int], length: int, step: int | None = None
) -> Answer:  # fmt: skip
    """The last piece: {"texts": [{"tokens", "text"}]}, one a seed, drawn from the model's own distribution."""
    model, tokenizer, step = _of(store, run, step, length, 1)
    for piece in _write(model, tokenizer, prompt, seeds, length):
        yield {"texts": piece} if piece else {}


def ask_preference(
    store: Store, run: str, prompt: str, method: str, rule: str = "", letters: str = "",
    pairs: Sequence[Sequence[Sequence[int]]] = (), updates: int = 60, length: int = 40, beta: float = 0.05,
    learning_rate: float = 1e-3, seed: int = 1, step: int | None = None, keep: str = "",
) -> Answer:  # fmt: skip
    """Pieces {"update": see training.preference.Update, "done"}, then {"before", "after": [{"text", "reward"}]}; with
    `keep`, the label of a new run, its id as "kept".

    pairs: (better, worse) tokens that a person chose; without them a rule decides, and DPO learns from pairs that the
    model writes itself. The same question has the same answer: who wants to keep the copy asks again with `keep`.
    """
    model, tokenizer, step = _of(store, run, step, length, updates)
    if not pairs and rule not in RULES:
        raise ConfigError(N_("There is no rule {rule}. Take one of these: {known}."), rule=rule, known=", ".join(RULES))
    if method not in ("dpo", "reinforce") or (pairs and method != "dpo"):
        raise ConfigError(N_("Choices of a person are learned by DPO, rules by DPO or REINFORCE."))
    chosen = tuple((tuple(better), tuple(worse)) for better, worse in pairs)
    if any(not better or not worse or len(better) > length or len(worse) > length for better, worse in chosen):
        raise ConfigError(N_("A chosen text is empty or too long. Choose again."))
    plan = Plan(
        prompt, method, rule, letters, chosen, updates, length, beta, learning_rate, seed  # type: ignore[arg-type]
    )  # fmt: skip
    history, _ = opening(model, tokenizer, prompt)
    longest = MAX_PREFERENCE_PROMPT + length
    if len(history) + length > (limit := min(longest, model.context_length or longest)):
        raise ConfigError(
            N_("Prompt and text are longer than the {limit} tokens that are allowed here. Take a shorter prompt."),
            limit=limit,
        )  # fmt: skip
    learner = PreferenceLearner(model, history, beta, learning_rate)
    yield from _learn(plan, learner, tokenizer)
    shown = {}
    for name, one in (("before", model), ("after", learner.policy)):
        found = yield from _waited(_write(one, tokenizer, prompt, range(FRESH, FRESH + SHOWN), length))
        shown[name] = [{"text": text["text"], "reward": _reward(plan, text["text"])} for text in found]
    kept = _keep(store, store.get(run), step, learner.policy, keep) if keep else None
    yield {"run": run, "step": step, **shown, "kept": kept}


def _of(
    store: Store, run: str, step: int | None, length: int, updates: int
) -> tuple[LanguageModel, Tokenizer, int]:  # fmt: skip
    model, tokenizer, step = model_of(store, run, step)
    if model.learns_by == "counting" or model.reads_source or not model.writes:
        raise ConfigError(N_("Preferences are learned by models of a text that learn by gradients. Choose another."))
    if model.parameter_count() > MAX_PREFERENCE_PARAMETERS:
        raise ConfigError(
            N_("The model has {count} parameters, and {limit} are allowed here. Choose a smaller one."),
            count=f"{model.parameter_count():,}", limit=f"{MAX_PREFERENCE_PARAMETERS:,}",
        )  # fmt: skip
    if not 1 <= length <= MAX_PREFERENCE_TOKENS or not 1 <= updates <= MAX_PREFERENCE_STEPS:
        raise ConfigError(
            N_("Up to {updates} updates on texts of up to {tokens} tokens are allowed here."),
            updates=MAX_PREFERENCE_STEPS, tokens=MAX_PREFERENCE_TOKENS,
        )  # fmt: skip
    return model, tokenizer, step


def _write(
    model: LanguageModel, tokenizer: Tokenizer, prompt: str, seeds: Sequence[int], length: int
) -> Iterator[list[dict[str, Any]]]:  # fmt: skip
    """Empty lists while it writes, then the texts."""
    configs = [DecodingConfig(prompt=prompt, max_new_tokens=length, seed=seed) for seed in seeds]
    rows = []
    for rows in write_rows(model, tokenizer, configs):
        if not all(row.done for row in rows):
            yield []
    yield [{"tokens": list(row.tokens), "text": tokenizer.decode(row.tokens)} for row in rows]


def _waited(
    writing: Iterator[list[dict[str, Any]]],
) -> Generator[dict[str, Any], None, list[dict[str, Any]]]:
    """The texts; empty pieces until they are there."""
    texts: list[dict[str, Any]] = []
    for texts in writing:
        if not texts:
            yield {}
    return texts


def _learn(plan: Plan, learner: PreferenceLearner, tokenizer: Tokenizer) -> Answer:
    for update in range(plan.updates):
        if plan.pairs:
            told = learner.from_pairs(plan.pairs[:BATCH] if len(plan.pairs) <= BATCH else _turn(plan, update))
            reward = None
        else:
            first = plan.seed * SEEDS + update * BATCH
            texts = yield from _waited(
                _write(learner.policy, tokenizer, plan.prompt, range(first, first + BATCH), plan.length)
            )
            rewards = [_reward(plan, text["text"]) or 0.0 for text in texts]
            reward = sum(rewards) / len(rewards)
            pairs = _ranked(texts, rewards)
            if plan.method == "reinforce":
                told = learner.from_rewards([text["tokens"] for text in texts], rewards)
            elif pairs:
                told = learner.from_pairs(pairs)
            else:  # all scored alike: nothing is preferred, and nothing learned
                told = learner.unchanged([text["tokens"] for text in texts])
        yield {"update": asdict(told) | {"reward": reward, "number": update + 1}, "done": (update + 1) / plan.updates}


def _turn(plan: Plan, update: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """BATCH pairs after the other, round and round."""
    return list(itertools.islice(itertools.cycle(plan.pairs), update * BATCH, (update + 1) * BATCH))


def _ranked(texts: Sequence[dict[str, Any]], rewards: Sequence[float]) -> list[tuple[list[int], list[int]]]:
    """The best beside the worst, the second beside the last but one ...: pairs for DPO,
    but for those that scored alike.
    """
    order = sorted(range(len(texts)), key=lambda i: -rewards[i])
    half = len(order) // 2
    return [
        (texts[a]["tokens"], texts[b]["tokens"])
        for a, b in zip(order[:half], order[::-1][:half], strict=True)
        if rewards[a] > rewards[b]
    ]  # fmt: skip


def _reward(plan: Plan, text: str) -> float | None:
    return RULES[plan.rule][1](plan.prompt, text, plan.letters) if plan.rule in RULES else None


def _keep(store: Store, run: Run, step: int, policy: LanguageModel, name: str) -> str:
    """The copy as a run of its own, which can be looked into like any other."""
    config = run.config().model_copy(update={"name": name, "group": ""})

    def fill(folder: Path) -> None:
        for part in ("tokenizer.json", "data.json", "samples.jsonl"):
            if (run.path / part).exists():
                shutil.copy2(run.path / part, folder / part)
        made = Run(folder)
        save_weights(made, policy, step)
        made.write_status(
            made.status().model_copy(update={"state": "finished", "step": step, "parameters": policy.parameter_count()})
        )

    return store.create(config, fill=fill).id


PREFERENCE_QUESTIONS: dict[str, Callable[..., Answer]] = {
    "preference_texts": ask_preference_texts, "preference": ask_preference,
}  # fmt: skip
