"""Bring a text of one's own: upload or paste, look at it as it will be read, mend encoding and column, then add it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from lmviz.corpora import ENCODINGS, Reading, data_dir, keep, read_files
from lmviz.errors import LmvizError
from lmviz.ui.errors import markdown_safe
from lmviz.ui.i18n import _, translate_error

_LINES = 8
_LINE = 120
_FILES = 8


@dataclass(frozen=True)
class _Look:
    """What is shown of a reading. The texts themselves are read again when they are added, and not held until then."""

    rows: tuple[tuple[str, str, int, str | None], ...]
    """(name, encoding, characters, column) of the first files."""
    files: int
    left_out: Mapping[str, int]
    columns: tuple[str, ...]
    lines: tuple[str, ...]

    @classmethod
    def at(cls, reading: Reading) -> "_Look":
        rows = [(file.name, file.encoding, file.characters, file.column) for file in reading.files[:_FILES]]
        head = reading.files[0].documents[0][: _LINES * _LINE * 4].split("\n")
        lines = tuple(line[:_LINE] for line in head[:_LINES])
        return cls(tuple(rows), len(reading.files), reading.left_out, reading.columns, lines)


@dataclass(frozen=True)
class _Seen:
    """The last look of a session, so that files are read once and not at every rerun."""

    parts: tuple[str, ...]
    """Which files and which pasted text."""
    encoding: str | None
    column: str | None
    result: _Look | LmvizError
    columns: tuple[str, ...]
    """Of the tables among the files; known also while a wrong encoding is chosen."""


def _key(field: str) -> str:
    """Key of a field. After each text that was added all are new, so that nothing of it reaches the next one."""
    count = st.session_state.get("texts_added", 0)
    return f"{field}_{count}" if count else field


def own_text() -> None:
    """The form. What cannot be read gets a sentence, and nothing is kept."""
    files = st.file_uploader(
        _("Text files, tables (.csv, .tsv, .jsonl) or a .zip of texts"),
        accept_multiple_files=True,
        key=_key("files"),
    )
    pasted = st.text_area(_("or paste a text"), height=80, key=_key("pasted")).encode("utf-8", "replace")
    unnamed = _("found by itself")
    left, right = st.columns(2)
    encoding = left.selectbox(
        _("Encoding"), [None, *ENCODINGS], key=_key("encoding"), format_func=lambda name: name or unnamed,
        disabled=not files,
    )  # fmt: skip
    seen = None
    if files or pasted.strip():
        seen = _look(files, pasted, encoding)
        if seen.columns:
            right.selectbox(
                _("Column with the text"), [None, *seen.columns], key=_key("column"),
                format_func=lambda name: unnamed if name is None else name,
            )  # fmt: skip
        _show(seen.result)
    label = st.text_input(_("Name"), key=_key("corpus_label"), placeholder=_("My text"), max_chars=60)
    if st.button(_("Add this text"), type="primary", key=_key("add_text"), width="stretch"):
        _add(label or (files[0].name if files else _("pasted text")), files, pasted, seen)


def _look(files: Sequence[UploadedFile], pasted: bytes, encoding: str | None) -> _Seen:
    """Read everything, unless nothing has changed since the last time."""
    key = (*(file.file_id for file in files), hashlib.sha256(pasted).hexdigest())
    last: _Seen | None = st.session_state.get("own_text")
    columns = last.columns if last and last.parts == key else ()
    if not columns:
        st.session_state.pop(_key("column"), None)  # of other files
    column = st.session_state.get(_key("column"))
    if last and (last.parts, last.encoding, last.column) == (key, encoding, column):
        return last
    result: _Look | LmvizError
    try:
        result = _Look.at(_read(files, pasted, encoding, column))
        columns = result.columns
    except LmvizError as error:
        result = error
    seen = _Seen(key, encoding, column, result, columns)
    st.session_state["own_text"] = seen
    return seen


def _read(files: Sequence[UploadedFile], pasted: bytes, encoding: str | None, column: str | None) -> Reading:
    """All texts. A pasted one has no encoding to choose."""
    with st.spinner(_("Reading")):
        parts = [(file.name, file.getvalue()) for file in files]
        readings = [read_files(parts, encoding=encoding, column=column)] if parts else []
        readings += [read_files([(_("pasted text"), pasted)], encoding="utf-8")] if pasted.strip() else []
        return Reading(tuple(file for each in readings for file in each.files), readings[0].left_out)


def _show(result: _Look | LmvizError) -> None:
    """What was found: each file with its encoding, then the first lines. A person's text is never Markdown."""
    if isinstance(result, LmvizError):
        st.error(markdown_safe(translate_error(result)))
        return
    rows = []
    for name, encoding, characters, column in result.rows:
        row = _("{name}: {encoding}, {count} characters").format(name=name, encoding=encoding, count=f"{characters:,}")
        rows.append(row + (_(", column {column}").format(column=column) if column else ""))
    if result.files > _FILES:
        rows.append(_("... {count} files in all").format(count=result.files))
    if result.left_out:
        kinds = {"hidden": _("hidden"), "empty": _("empty"), "not text": _("not text")}
        counts = ", ".join(f"{count} {kinds[kind]}" for kind, count in result.left_out.items())
        rows.append(_("Files left out: {counts}").format(counts=counts))
    st.text("\n".join(rows))
    st.code("\n".join(result.lines), language=None, height=150)


def _add(label: str, files: Sequence[UploadedFile], pasted: bytes, seen: _Seen | None) -> None:
    """Keep what was shown and choose it."""
    try:
        if seen is None:
            read_files([])  # says that there is nothing to add
        elif isinstance(seen.result, _Look):  # otherwise its sentence stands above
            reading = _read(files, pasted, seen.encoding, seen.column)
            st.session_state["corpus_added"] = keep(data_dir(), label, reading)
    except LmvizError as error:
        st.error(markdown_safe(translate_error(error)))
        return
    if "corpus_added" in st.session_state:
        _forget(files)
        st.rerun()


def _forget(files: Sequence[UploadedFile]) -> None:
    """Streamlit would keep what was uploaded as long as the page is open."""
    st.session_state.pop("own_text", None)
    context = get_script_run_ctx()
    if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        for file in files:
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
