"""Every text a person can see has a Chinese translation that fits; the machinery that finds and shows it works."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmviz.config import LSTMConfig
from lmviz.errors import LmvizError
from lmviz.ui import catalogue, i18n

NAMES = {
    *("RNN", "NVSI-RNN", "GRU", "LSTM", "GPT", "BERT", "CBOW", "FFN", "Seq2Seq", "Transformer", "BLEU", "lmviz"),
    *("English", "{key}: {value}", "{token}: {chance}", "{name} {forced} → {own}"),
    *(
        "Min-p",
        "T = 1",
        "T {value}",
        "T = {value}",
        "T {value}, {token}: {chance}",
        "T {value}: {chance}",
        "T {value}: {entropy} nats",
        "distinct-1",
        "distinct-2",
        "min-p {value}",
    ),
    *("top-k {value}", "top-p {value}", "{nats} nats"),
}
"""Texts that are the same in Chinese."""

CJK = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def chinese() -> Iterator[None]:
    before = i18n._Current.provider
    i18n.set_provider(lambda: "zh")
    yield
    i18n.set_provider(before)


def fields(text: str) -> set[tuple[str, str]]:
    """The placeholders of a template: name and format, such as ("rate", "g")."""
    return {(name, spec or "") for _, name, spec, _ in string.Formatter().parse(text) if name is not None}


def forms(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [text] if isinstance(text, str) else list(text or ())


def wanted() -> dict[str, list[str]]:
    """Id (of the singular) -> its forms in English."""
    return {forms(m.id)[0]: forms(m.id) for m in catalogue.messages() if m.id}


def have() -> dict[str, list[str]]:
    return {forms(m.id)[0]: forms(m.string) for m in catalogue.catalogue("zh") if m.id}


def test_no_translation_is_missing_empty_fuzzy_or_obsolete() -> None:
    zh = catalogue.catalogue("zh")
    translated, needed = have(), wanted()
    assert not needed.keys() - translated.keys(), "missing: run python -m lmviz.ui.catalogue update, then translate"
    assert not translated.keys() - needed.keys(), "no longer in the code: run python -m lmviz.ui.catalogue update"
    assert not [key for key, texts in translated.items() if not all(text.strip() for text in texts)], "empty"
    assert not [m.id for m in zh if m.id and m.fuzzy], "fuzzy"
    assert not zh.obsolete


def test_placeholders_are_the_same() -> None:
    translated = have()
    for key, english in wanted().items():
        allowed = set().union(*(fields(text) for text in english))
        for text in translated.get(key, []):
            assert not text or fields(text) == allowed, key


def test_chinese_is_chinese() -> None:
    plain = [key for key, texts in have().items() if any(t and not CJK.search(t) for t in texts)]
    assert not set(plain) - NAMES


def test_help_texts_of_the_configuration_are_found() -> None:
    assert "Numbers in the hidden state." in wanted()


def test_texts_in_the_code_are_found() -> None:
    assert "Download the data (CSV)" in wanted()


def test_update_keeps_adds_and_drops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lmviz.po"
    monkeypatch.setattr(catalogue, "po_path", lambda code: path)
    catalogue.update("zh")
    text = path.read_text("utf-8")
    entry = 'msgid "Numbers in the hidden state."\nmsgstr '
    path.write_text(text.replace(entry + '""', entry + '"隐藏状态"') + '\nmsgid "gone"\nmsgstr "没了"\n', "utf-8")
    catalogue.update("zh")
    after = path.read_text("utf-8")
    assert entry + '"隐藏状态"' in after
    assert 'msgid "gone"' not in after
    assert len(after.splitlines()) == len(text.splitlines())
    ids = [m.id for m in catalogue.catalogue("zh") if m.id]
    assert len(ids) == len(wanted())


def test_english_without_a_session() -> None:
    assert i18n.language() == "en"
    assert i18n._("Download the data (CSV)") == "Download the data (CSV)"
    assert i18n.ngettext("{n} run", "{n} runs", 2) == "{n} runs"


def test_chinese(chinese: None) -> None:
    assert CJK.search(i18n._("Download the data (CSV)"))
    assert i18n._("a text that nobody has translated") == "a text that nobody has translated"
    assert i18n._("") == ""
    assert CJK.search(i18n.field_help(LSTMConfig, "hidden_size"))


def test_errors_are_translated_with_their_values(chinese: None) -> None:
    template = "A file could not be written: {reason}. Mend that, then resume; the last checkpoint is kept."
    assert template in wanted()
    shown = i18n.translate_error(LmvizError(template, reason="disk full"))
    assert CJK.search(shown)
    assert "disk full" in shown
    assert i18n.translate_error({"message": "old words", "template": template, "values": {}}) == "old words"
    assert i18n.translate_error({"message": "only words"}) == "only words"


@pytest.mark.parametrize(
    ("wish", "code"), [("zh-CN", "zh"), ("zh_Hant_TW", "zh"), ("en-GB", "en"), ("fr", None), ("", None), (None, None)]
)
def test_best_match(wish: str | None, code: str | None) -> None:
    assert i18n.best_match(wish) == code


def test_no_text_hides_where_the_extraction_cannot_see_it() -> None:
    """A call of `_` inside an f-string is not extracted, and one on an f-string cannot be translated."""
    hidden = []
    for path in catalogue.sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            inside = (
                [call for call in ast.walk(node) if is_translation(call)] if isinstance(node, ast.JoinedStr) else []
            )
            on = is_translation(node) and isinstance(node.args[0], ast.JoinedStr)
            hidden += [f"{path.name}:{node.lineno}"] if inside or on else []
    assert not hidden


def is_translation(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "N_")
