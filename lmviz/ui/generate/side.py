"""Side by side: one prompt and one seed; up to six ways to choose, models, or moments of one training."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from lmviz.limits import MAX_SIDES
from lmviz.ui import cache
from lmviz.ui.asking import asked
from lmviz.ui.decoding_controls import penalty_controls, prompt_control, seed_control, strategy_controls
from lmviz.ui.errors import markdown_safe
from lmviz.ui.generate.scene import Scene
from lmviz.ui.generate.side_words import finding
from lmviz.ui.generate.ways import Way, read_ways, valid, way_name, write_ways
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember, restore, switch
from lmviz.ui.run_picker import on_text, steady_title
from lmviz.ui.theme import label
from lmviz.ui.tokens import token_html

FIELDS = ("strategy", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat_ngram", "num_beams")
LENGTHS = [40, 80, 120, 200, 300, 500]


def side_part(scene: Scene) -> None:
    names = {"ways": _("Ways to choose"), "runs": _("Models"), "moments": _("Moments of its training")}
    which = switch(_("What differs"), names, "side_which", "differs")
    left, right = st.columns([2, 5], gap="large")
    with left:
        prompt = prompt_control(scene.run)
        common = {"prompt": prompt} | (_settings() if which != "ways" else {})
        restore("side_length", "length", LENGTHS, 120)
        length = st.select_slider(_("Length, tokens"), LENGTHS, key="side_length")
        remember("length", length, 120)
        common |= {"max_new_tokens": length, "seed": seed_control()}
        if which == "runs":
            chosen = _choose_runs(scene)
    with right:
        if which == "ways":
            ways = _edit_ways()
            sides = [{**scene.question, **common, **way} for way in ways]
            titles = [way_name(way) for way in ways]
        elif which == "runs":
            sides = [{"run": run, "step": None, **common} for run in chosen]
            titles = [_run_name(run) for run in chosen]
        else:
            steps = _moments(scene)
            sides = [{"run": scene.run.id, "step": step, **common} for step in steps]
            titles = [_("after {step} updates").format(step=f"{step:,}") for step in steps]
        if not sides:
            st.info(_("Choose at least one."), icon=":material/info:")
            return
        answer = asked("side", _("Writing"), sides=sides)
        if answer is not None:
            _show(prompt, titles, answer["sides"])


def _settings() -> dict[str, Any]:
    """The same for all, where models or moments differ."""
    values = strategy_controls()
    with st.expander(_("More"), key="side_more"):
        values |= penalty_controls()
    return values


def _edit_ways() -> list[Way]:
    """A table that can be edited, a row a way."""
    if "side_ways" not in st.session_state:
        st.session_state["side_ways"] = read_ways(st.query_params.get("ways", ""))
    rows = [{field: way.get(field) for field in FIELDS} for way in st.session_state["side_ways"]]
    frame = pd.DataFrame(rows, columns=list(FIELDS))
    frame["strategy"] = frame["strategy"].fillna("sample")
    number = st.column_config.NumberColumn
    with st.expander(_("The ways: {names}").format(names=" · ".join(map(way_name, st.session_state["side_ways"])))):
        edited = st.data_editor(
            frame.astype(dict.fromkeys(FIELDS[1:], "float64")), num_rows="dynamic", key="side_editor",
            width="stretch", hide_index=True, column_config={
                "strategy": st.column_config.SelectboxColumn(
                    _("Strategy"), options=["sample", "greedy", "beam"], default="sample", required=True
                ),
                "temperature": number(_("Temperature"), min_value=0.01, max_value=100.0),
                "top_k": number(_("Top-k"), min_value=1, step=1),
                "top_p": number(_("Top-p"), min_value=0.01, max_value=1.0),
                "min_p": number(_("Min-p"), min_value=0.0, max_value=1.0),
                "repetition_penalty": number(_("Repetition penalty"), min_value=0.1, max_value=10.0),
                "no_repeat_ngram": number(_("No repeated run of"), min_value=0, max_value=100, step=1),
                "num_beams": number(_("Beams"), min_value=1, max_value=32, step=1),
            },
        )  # fmt: skip
        st.caption(_("Up to {most} rows; what is left empty is off.").format(most=MAX_SIDES))
    ways = [way for row in edited.to_dict("records")[:MAX_SIDES] if valid(way := _way(row))]
    remember("ways", write_ways(ways), write_ways(read_ways("")))
    return ways


def _way(row: dict[str, Any]) -> Way:
    """What a row of the table says that is not as at first."""
    way: Way = {}
    for field, value in row.items():
        if value is None or value == "sample" or (isinstance(value, float) and np.isnan(value)):
            continue
        way[field] = value if field == "strategy" else int(value) if field in _WHOLE else float(value)
    return way


_WHOLE = ("top_k", "no_repeat_ngram", "num_beams")


def _choose_runs(scene: Scene) -> list[str]:
    """Up to six runs, the one above at first among the samples."""
    runs = {run.id: run for run in cache.store().runs() if on_text(run) and run.checkpoint_steps()}
    corpus = scene.run.config().corpus.name
    alike = [run_id for run_id, run in runs.items() if run.config().corpus.name == corpus and run_id != scene.run.id]
    if "side_runs" not in st.session_state:
        wanted = [one for one in st.query_params.get("with", "").split(",") if one in runs]
        st.session_state["side_runs"] = wanted or [scene.run.id, *alike][:4]
    st.session_state["side_runs"] = [one for one in st.session_state["side_runs"] if one in runs]
    chosen = st.multiselect(
        _("Models"), list(runs), format_func=lambda one: steady_title(runs[one]), key="side_runs",
        max_selections=MAX_SIDES,
    )  # fmt: skip
    remember("with", ",".join(chosen), "")
    return list(chosen)


def _run_name(run_id: str) -> str:
    config = cache.store().get(run_id, allow_paths=False).config()
    return config.name or f"{label(config.model.kind)} {run_id}"


def _moments(scene: Scene) -> list[int]:
    """Up to six kept steps, the first and the last among them."""
    steps = scene.run.checkpoint_steps()
    places = np.unique(np.linspace(0, len(steps) - 1, min(MAX_SIDES, len(steps))).round().astype(int))
    return [steps[place] for place in places]


def _show(prompt: str, titles: list[str], sides: list[dict[str, Any]]) -> None:
    st.subheader(finding(titles, sides), anchor=False)
    percent = st.column_config.NumberColumn
    frame = pd.DataFrame({
        "way": titles,
        "perplexity": [side["perplexity"] for side in sides],
        "logprob": [side["logprob"] for side in sides],
        "distinct_1": [side["distinct_1"] for side in sides],
        "distinct_2": [side["distinct_2"] for side in sides],
        "repeated": [side["repeated"] for side in sides],
        "copied": [side["copied"] for side in sides],
        "tokens": [len(side["tokens"]) for side in sides],
        "speed": [side["tokens_per_second"] for side in sides],
        "text": [side["text"] for side in sides],
    })  # fmt: skip
    st.dataframe(
        frame, hide_index=True, width="stretch", key="side_table", column_order=[c for c in frame if c != "text"],
        column_config={
            "way": st.column_config.TextColumn(_("way"), pinned=True),
            "perplexity": percent(_("perplexity"), format="%.2f", help=_("Of its own text under the model.")),
            "logprob": percent(_("log-prob., nats"), format="%.1f"),
            "distinct_1": percent(_("distinct-1"), format="%.2f", help=_("Different tokens as a share of all.")),
            "distinct_2": percent(_("distinct-2"), format="%.2f", help=_("Different pairs as a share of all.")),
            "repeated": percent(_("repeats"), help=_("Characters of the longest span that comes twice.")),
            "copied": percent(_("copied"), format="percent", help=_("Share that stands in the training text.")),
            "tokens": percent(_("tokens")),
            "speed": percent(_("tokens/s"), format="%.0f"),
        },
    )  # fmt: skip
    span = max(side["span"] for side in sides)
    st.caption(_(
        "All go on with the same prompt and the same seed. Perplexity and log-probability are the model's own, before"
        " any stage. Copied: in a span of at least {span} characters that the training text has word for word;"
        " underlined below. Shade: how unsure the model was of the token."
    ).format(span=span))  # fmt: skip
    if any(side["copied"] is None for side in sides):
        st.caption(_("Where nothing is said of copies, the text that was learned from is not at hand, or too long."))
    for row in range(0, len(sides), 2):
        for column, title, side in zip(
            st.columns(2), titles[row : row + 2], sides[row : row + 2], strict=False
        ):  # fmt: skip
            with column:
                st.markdown(f"**{markdown_safe(title)}**")
                st.html(token_html(prompt, side["tokens"], writing=False))
