"""Bring a text of one's own: upload or paste, look at it as it will be read, mend encoding and column, then add it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from lmviz.corpora import ENCODINGS, Reading, data_dir, keep, read_files
from lmviz.errors import LmvizError
from lmviz.ui.errors import markdown_safe
from lmviz.ui.i18n import _, translate_error

_LINES = 8
_LINE = 120
_FILES = 8


@dataclass(frozen=True)
class _Seen:
    """The last reading of a session, so that files are read once and not at every rerun."""

    parts: tuple[str, ...]
    """Which files and which pasted text."""
    encoding: str | None
    column: str | None
    result: Reading | LmvizError
    columns: tuple[str, ...]
    """Of the tables among the files; known also while a wrong encoding is chosen."""


def own_text() -> None:
    """The form. What cannot be read gets a sentence, and nothing is kept."""
    files = st.file_uploader(
        _("Text files, tables (.csv, .tsv, .jsonl) or a .zip of texts"), accept_multiple_files=True, key="files"
    )
    pasted = st.text_area(_("or paste a text"), height=80, key="pasted").encode("utf-8", "replace")
    unnamed = _("found by itself")
    left, right = st.columns(2)
    encoding = left.selectbox(
        _("Encoding"), [None, *ENCODINGS], key="encoding", format_func=lambda name: name or unnamed,
        disabled=not files,
    )  # fmt: skip
    seen = None
    if files or pasted.strip():
        seen = _read(files, pasted, encoding)
        if seen.columns:
            right.selectbox(
                _("Column with the text"), [None, *seen.columns], key="column",
                format_func=lambda name: unnamed if name is None else name,
            )  # fmt: skip
        _show(seen.result)
    label = st.text_input(_("Name"), key="corpus_label", placeholder=_("My text"), max_chars=60)
    if st.button(_("Add this text"), type="primary", key="add_text", width="stretch"):
        _add(label or (files[0].name if files else _("pasted text")), seen)


def _read(files: Sequence[UploadedFile], pasted: bytes, encoding: str | None) -> _Seen:
    """Read everything, unless nothing has changed since the last time. A pasted text has no encoding to choose."""
    key = (*(file.file_id for file in files), hashlib.sha256(pasted).hexdigest())
    last: _Seen | None = st.session_state.get("own_text")
    columns = last.columns if last and last.parts == key else ()
    if not columns:
        st.session_state.pop("column", None)  # of other files
    column = st.session_state.get("column")
    if last and (last.parts, last.encoding, last.column) == (key, encoding, column):
        return last
    result: Reading | LmvizError
    try:
        with st.spinner(_("Reading")):
            parts = [(file.name, file.getvalue()) for file in files]
            readings = [read_files(parts, encoding=encoding, column=column)] if parts else []
            readings += [read_files([(_("pasted text"), pasted)], encoding="utf-8")] if pasted.strip() else []
            result = Reading(tuple(file for each in readings for file in each.files), readings[0].left_out)
            columns = result.columns
    except LmvizError as error:
        result = error
    seen = _Seen(key, encoding, column, result, columns)
    st.session_state["own_text"] = seen
    return seen


def _show(result: Reading | LmvizError) -> None:
    """What was found: each file with its encoding, then the first lines. A person's text is never Markdown."""
    if isinstance(result, LmvizError):
        st.error(markdown_safe(translate_error(result)))
        return
    rows = []
    for file in result.files[:_FILES]:
        row = _("{name}: {encoding}, {count} characters").format(
            name=file.name, encoding=file.encoding, count=f"{file.characters:,}"
        )
        rows.append(row + (_(", column {column}").format(column=file.column) if file.column else ""))
    if len(result.files) > _FILES:
        rows.append(_("... {count} files in all").format(count=len(result.files)))
    if result.left_out:
        kinds = {"hidden": _("hidden"), "empty": _("empty"), "not text": _("not text")}
        counts = ", ".join(f"{count} {kinds[kind]}" for kind, count in result.left_out.items())
        rows.append(_("Files left out: {counts}").format(counts=counts))
    st.text("\n".join(rows))
    head = result.files[0].documents[0][: _LINES * _LINE * 4].split("\n")
    st.code("\n".join(line[:_LINE] for line in head[:_LINES]), language=None, height=150)


def _add(label: str, seen: _Seen | None) -> None:
    """Keep what was shown and choose it."""
    try:
        reading = seen.result if seen else read_files([])
        if isinstance(reading, LmvizError):
            return  # its sentence stands above
        st.session_state["corpus_added"] = keep(data_dir(), label, reading)
    except LmvizError as error:
        st.error(markdown_safe(translate_error(error)))
        return
    st.session_state.pop("own_text")
    st.rerun()
