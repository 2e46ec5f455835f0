"""Up to four architectures side by side: kind, size, settings, and what they will cost before Train is pressed."""

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lmviz.config import CorpusConfig, RecordingConfig, RunConfig, TokenizerConfig, TrainingConfig
from lmviz.costs import check_costs
from lmviz.errors import ConfigError, CorpusError, LmvizError
from lmviz.limits import MAX_CARDS, MAX_SEEDS
from lmviz.presets import SIZES, TEXT_KINDS, preset
from lmviz.settings import validated
from lmviz.ui import cache
from lmviz.ui.errors import error_words, show_error
from lmviz.ui.fields import field_control
from lmviz.ui.i18n import _
from lmviz.ui.rate_finder import find_button, find_dialog
from lmviz.ui.start import check_text
from lmviz.ui.theme import label

DEFAULT_KINDS = ("lstm", "gpt", None, None)
OWN_TRAINING = (
    "learning_rate", "schedule", "warmup_steps", "final_learning_rate", "clip_norm", "weight_decay", "batch_size",
    "context_length",
)  # fmt: skip
MORE_TRAINING = (
    "optimizer", "momentum", "l1", "label_smoothing", "batches", "scheduled_sampling", "sampling_schedule",
    "early_stopping", "precision",
)  # fmt: skip
ONLY_FOR = {
    **dict.fromkeys(("batches", "scheduled_sampling", "sampling_schedule"), ("rnn", "nvsi", "gru", "lstm")),
    "precision": ("gpt", "lstm"),
}
"""Fields that some kinds of models alone can take."""
SEED_CHOICES = (1, 3, MAX_SEEDS)


def setup_form(corpus: CorpusConfig, tokenizer: TokenizerConfig, on_train: Callable[[list[RunConfig]], None]) -> None:
    """The cards, the shared settings and the button; `on_train` gets one configuration a card, in order."""
    vocab_size = cache.vocabulary_size(corpus.name, tokenizer)
    columns = st.columns(MAX_CARDS)
    steps_place, seed_place, repeat_place, button_place = st.columns([4, 2, 2, 2], vertical_alignment="bottom")
    steps, seed = _shared(steps_place, seed_place)
    seeds = _repetitions(repeat_place, seed)
    configs, broken = [], False
    for index, column in enumerate(columns):
        with column, st.container(border=True, key=f"card_{index}"):
            try:
                chosen = _card(index, corpus, tokenizer, steps, seed)
                if chosen:
                    config, key = chosen
                    check_costs(config, vocab_size)
                    check_text(config)
                    if config.model.kind != "ngram" and find_button(key):
                        find_dialog(config, key=f"training_{key}_learning_rate")
                    _cost(config, vocab_size)
                    configs.append(config)
            except (ConfigError, CorpusError) as error:
                broken = True
                show_error(error)
    button_place.button(
        _("Train"), type="primary", icon=":material/play_arrow:", key="train", width="stretch",
        disabled=broken or not configs,
        on_click=on_train, args=[repeated(_named(configs), seeds)],
    )  # fmt: skip
    if not cache.is_warm():
        st.fragment(_wait_for_warmth, run_every=0.5)()


def _repetitions(place: DeltaGenerator, seed: int) -> list[int]:
    """Seeds to train every card with."""
    words = {n: _("{n} seeds").format(n=n) if n > 1 else _("once") for n in SEED_CHOICES}
    with place:
        count = st.selectbox(
            _("Repeat over seeds"), SEED_CHOICES, 0, key="repetitions", persist_state="session",
            format_func=words.__getitem__, help=_(
                "Trains every model several times, from different initial weights and in another order of the text:"
                " a band shows how much is luck."
            ),
        )  # fmt: skip
    return list(range(seed, seed + count))


def repeated(configs: list[RunConfig], seeds: list[int]) -> list[RunConfig]:
    """Every configuration once a seed; n-grams, which know no chance, once."""
    if len(seeds) == 1:
        return configs
    runs = []
    for config in configs:
        for seed in seeds[:1] if config.model.kind == "ngram" else seeds:
            training = config.training.model_copy(update={"seed": seed})
            runs.append(config.model_copy(update={"training": training, "name": f"{config.name} (seed {seed})"}))
    return runs


def _wait_for_warmth() -> None:
    """A fresh server cannot measure for its first two seconds; then the page is drawn again with the times."""
    if cache.is_warm():
        st.rerun()


def _shared(steps_place: DeltaGenerator, seed_place: DeltaGenerator) -> tuple[int, int]:
    with steps_place:
        steps = st.select_slider(
            _("Updates of the weights (the same for all)"),
            [100, 200, 500, 1000, 2000, 3000, 5000, 10_000, 20_000, 50_000], 2000,
            key="steps", persist_state="session", format_func=lambda n: f"{n:,}",
        )  # fmt: skip
    with seed_place:
        seed = st.number_input(
            _("Seed"), 0, 2**31 - 1, 1, key="seed", persist_state="session",
            help=_("Decides the initial weights, the order of the data and dropout. The same seed gives the same run."),
        )  # fmt: skip
    return int(steps), int(seed)


def _card(
    index: int, corpus: CorpusConfig, tokenizer: TokenizerConfig, steps: int, seed: int
) -> tuple[RunConfig, str] | None:
    """What the card is set to, and the key of its controls; None for an empty card."""
    kinds = [None, *TEXT_KINDS]
    kind = st.selectbox(
        _("Architecture {number}").format(number=index + 1), kinds, kinds.index(DEFAULT_KINDS[index]),
        format_func=lambda k: label(k) if k else _("none"), key=f"kind_{index}", persist_state="session",
    )  # fmt: skip
    if kind is None:
        return None
    names = {"tiny": _("tiny"), "small": _("small"), "medium": _("medium")}
    size = st.segmented_control(
        _("Size"), SIZES, default="small", format_func=names.__getitem__, key=f"size_{index}_{kind}", required=True,
        label_visibility="collapsed", width="stretch", persist_state="session",
    )  # fmt: skip
    shared = {"steps": 1 if kind == "ngram" else steps, "seed": seed}
    config = preset(kind, size, corpus=corpus.model_dump(), tokenizer=tokenizer.model_dump(), training=shared)
    key = f"{index}_{kind}_{size}"
    with st.popover(_("Settings"), icon=":material/tune:", width="stretch", key=f"settings_{key}"):
        values = _settings(config, key)
    return validated(values), key


def _settings(config: RunConfig, key: str) -> dict[str, Any]:
    """Every setting of the model, and how it is trained."""
    values = config.model_dump(mode="json")
    st.caption(_("Model"))
    for field, value in values["model"].items():
        if field != "kind":
            values["model"][field] = field_control(type(config.model), field, value, f"model_{key}_{field}")
    if config.model.kind == "ngram":
        return values
    st.caption(_("Training"))
    for field in OWN_TRAINING:
        value = values["training"][field]
        values["training"][field] = field_control(TrainingConfig, field, value, f"training_{key}_{field}")
    with st.expander(_("More"), key=f"more_{key}"):
        for field in MORE_TRAINING:
            if config.model.kind in ONLY_FOR.get(field, (config.model.kind,)):
                value = values["training"][field]
                values["training"][field] = field_control(TrainingConfig, field, value, f"training_{key}_{field}")
        keep = values["recording"]["keep_best"]
        values["recording"]["keep_best"] = field_control(RecordingConfig, "keep_best", keep, f"recording_{key}_keep")
    return values


def _cost(config: RunConfig, vocab_size: int) -> None:
    """How large, and how long on this machine, measured now."""
    count = config.model.parameter_count(vocab_size, config.training.context_length)
    if count is None:
        st.caption(_("Counts the text once: a second or two."))
        return
    parameters = _("{count} parameters").format(count=f"{count:,}")
    try:
        cost = cache.estimate(config, vocab_size)
    except LmvizError as error:
        st.caption(f"{parameters} · {error_words(error)}")
        return
    if cost is None:
        st.caption(parameters)
        return
    seconds = cost["seconds_per_step"] * config.training.steps
    st.caption(f"{parameters} · " + _("about {time} alone on one core").format(time=duration(seconds)))


def duration(seconds: float) -> str:
    """A time for people: 45 s, 3 min, 2.5 h."""
    if seconds < 100:
        return _("{n} s").format(n=f"{seconds:.0f}")
    if seconds < 6000:
        return _("{n} min").format(n=f"{seconds / 60:.0f}")
    return _("{n} h").format(n=f"{seconds / 3600:.1f}")


def _named(configs: list[RunConfig]) -> list[RunConfig]:
    """Labels by which the runs of one comparison can be told apart: what they are, and what differs among equals."""
    named = []
    for config in configs:
        same = [other for other in configs if other.model.kind == config.model.kind]
        name = label(config.model.kind)
        if len(same) > 1:
            rows = [other.flat() for other in same]
            mine = config.flat()
            differs = [f"{key.split('.')[1]}={mine[key]}" for key in mine if any(r.get(key) != mine[key] for r in rows)]
            name = f"{name} {', '.join(differs[:3])}" if differs else f"{name} {configs.index(config) + 1}"
        named.append(config.model_copy(update={"name": name[:120]}))
    return named
