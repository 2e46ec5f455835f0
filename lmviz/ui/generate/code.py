"""Code: the model completes a snippet of Python many times, and Python says how often it is Python. Nothing is run."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from lmviz.corpora import BUILTIN
from lmviz.errors import LmvizError
from lmviz.inspect.code import PYTHON_SHARE
from lmviz.inspect.shares import wilson
from lmviz.runs import Run
from lmviz.ui import cache
from lmviz.ui.asking import asked
from lmviz.ui.decoding_controls import seed_control, strategy_controls
from lmviz.ui.errors import markdown_safe, plain_cell
from lmviz.ui.generate.code_training import over_training
from lmviz.ui.generate.scene import Scene
from lmviz.ui.i18n import _
from lmviz.ui.kept import remember

SAMPLE = "sample-code"
SNIPPET = """class Stack:
    def __init__(self):
        self.items = []

    def size(self):
        return len("""
COUNTS = (8, 16, 32, 64)
LENGTH = 200
"""Tokens after which a text is given up whose block has not ended."""
SHOWN = 4
"""Texts on a page of them."""
ADDRESS_CHARACTERS = 400


def code_part(scene: Scene) -> None:
    if not is_python(scene.run):
        _no_python(scene)
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        settings = _settings()
    with right:
        answer = asked("code", _("Writing"), **scene.question, **settings)
        if answer is None:
            return
        st.subheader(finding(answer), anchor=False)
        _shares(answer)
        _texts(settings["prompt"], answer["texts"])
    st.caption(_definition())
    over_training(scene, settings)


def is_python(run: Run) -> bool:
    """Whether it learned Python: the built-in text by its name, a text of one's own by what was kept from it."""
    name = run.config().corpus.name
    if name == "python" or name in BUILTIN:
        return name == "python"
    try:
        return float(cache.answer("is_python", run=run.id)["python_share"]) >= PYTHON_SHARE
    except LmvizError:  # the text is gone, or it is a task
        return False


def _no_python(scene: Scene) -> None:
    st.info(_(
        "This model did not learn Python, so that it cannot be asked whether its code is valid. Choose a model of the"
        " text “python”, or of a text of yours that is Python."
    ), icon=":material/code:")  # fmt: skip
    st.button(
        _("Take the sample that learned Python"), icon=":material/arrow_forward:", type="primary", on_click=_sample
    )


def _sample() -> None:
    st.query_params["run"] = SAMPLE
    for key in ("step", "prompt"):
        st.session_state.pop(key, None)


def _settings() -> dict[str, Any]:
    if "code_snippet" not in st.session_state:
        st.session_state["code_snippet"] = st.query_params.get("snippet") or SNIPPET
    snippet = str(st.text_area(
        _("Snippet to complete"), key="code_snippet", height=190, max_chars=2000, persist_state="session",
        help=_("End it after a word or a sign, with no space after it: a space may belong to the next token."),
    ))  # fmt: skip
    remember("snippet", snippet if len(snippet) <= ADDRESS_CHARACTERS else SNIPPET, SNIPPET)
    count = int(st.segmented_control(
        _("How often"), list(COUNTS), default=16, key="code_count", required=True, persist_state="session",
        help=_("Each time with another seed."),
    ))  # fmt: skip
    decoding = strategy_controls()
    if decoding["strategy"] == "greedy":
        st.caption(_("The likeliest text is always the same: it is written once."))
        count = 1
    return {"prompt": snippet, "count": count, "seed": seed_control(), "max_new_tokens": LENGTH, **decoding}


def share_words(count: int, of: int) -> str:
    """A share with its interval."""
    low, high = wilson(count, of)
    return _("{share} (95% interval {low} to {high})").format(
        share=f"{count / of:.0%}", low=f"{low:.0%}", high=f"{high:.0%}"
    )


def finding(answer: dict[str, Any]) -> str:
    count = len(answer["texts"])
    words = _("{parses} of {count} completions are valid Python: {share}")
    return words.format(parses=answer["parses"], count=count, share=share_words(answer["parses"], count))


def _shares(answer: dict[str, Any]) -> None:
    count = len(answer["texts"])
    st.caption(
        _(
            "Brackets balanced: {balanced} of {count}. The block ended within {length} tokens: {ended} of {count}."
        ).format(balanced=answer["balanced"], count=count, ended=answer["ended"], length=LENGTH)
    )


def verdict(text: dict[str, Any]) -> str:
    """What Python says of a completion."""
    if text["parses"]:
        return _("valid")
    if not text["text"].strip():
        return _("no whole line was written")
    if text["line"] is None:
        return str(text["error"])
    return _("line {line}: {error}").format(line=text["line"], error=text["error"])


def _texts(snippet: str, texts: Sequence[dict[str, Any]]) -> None:
    names = {"all": _("All"), "valid": _("Valid"), "invalid": _("Not valid")}
    kind = st.segmented_control(
        _("Which to show"), list(names), default="all", format_func=names.__getitem__, key="code_kind", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    wanted = [
        (number, text) for number, text in enumerate(texts, 1)
        if kind == "all" or text["parses"] == (kind == "valid")
    ]  # fmt: skip
    page = 1
    if len(wanted) > SHOWN:
        page = st.pagination(-(-len(wanted) // SHOWN), key=f"code_page_{kind}_{len(wanted)}")
    if not wanted:
        st.caption(_("There are none."))
    columns = st.columns(2)
    for place, (number, text) in enumerate(wanted[SHOWN * (page - 1) : SHOWN * page]):
        with columns[place % 2]:
            icon = ":green[:material/check_circle:]" if text["parses"] else ":orange[:material/error:]"
            st.markdown(f"{icon} **{number}** · {markdown_safe(verdict(text))}")
            st.code(snippet + text["text"], language="python", height=230, line_numbers=True, wrap_lines=True)
    with st.expander(_("All in a table"), key="code_table"):
        _table(texts)


def _table(texts: Sequence[dict[str, Any]]) -> None:
    st.dataframe(
        [
            {
                _("number"): number, _("valid"): text["parses"], _("what Python says"): plain_cell(verdict(text)),
                _("brackets balanced"): text["balanced"], _("block ended"): text["ended"], _("tokens"): text["tokens"],
                _("log-probability"): round(text["logprob"], 3), _("written"): plain_cell(text["text"]),
            }
            for number, text in enumerate(texts, 1)
        ],
        hide_index=True, height="content" if len(texts) <= 10 else 400,
    )  # fmt: skip


def _definition() -> str:
    return _(
        "How it is measured: each text is cut where the snippet's block ends, before the first line of code that is not"
        " indented more than the line that began the block; a text whose block has not ended by then loses its last,"
        " unfinished line. It is valid if something was written and snippet and text together are read by Python's own"
        " parser (ast.parse). Brackets in strings and comments do not count. No generated code is ever run. Interval:"
        " Wilson (1927), over the drawn texts."
    )
