"""Choose the text to learn: built in, added before, or the person's own, with a look at it."""

import streamlit as st

from lmviz.config import CorpusConfig, TokenizerConfig
from lmviz.corpora import BUILTIN, ENCODINGS, Preview, add_corpus, data_dir, list_corpora, load_corpus
from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.i18n import _, translate_error

DEFAULT = "python-reference"


def corpus_picker() -> tuple[CorpusConfig, TokenizerConfig] | None:
    """The row of controls; None if the chosen text cannot be used (a sentence says why)."""
    known = {row.name: _(row.title) if row.name in BUILTIN else row.title for row in list_corpora()}
    if added := st.session_state.pop("corpus_added", None):
        st.session_state["corpus"] = added
    if st.session_state.get("corpus") not in (None, *known):
        st.session_state["corpus"] = DEFAULT
    text, own, look, cut = st.columns([4, 2, 2, 3], vertical_alignment="bottom")
    with text:
        name = st.selectbox(
            _("Text to learn"), list(known), index=list(known).index(DEFAULT), key="corpus",
            format_func=lambda row: known[row], persist_state="session",
        )  # fmt: skip
    with own, st.popover(_("Your own text"), icon=":material/upload_file:", width="stretch"):
        _own_text()
    with cut:
        tokenizer = _tokenizer()
    try:
        seen = cache.corpus_preview(name)
    except LmvizError as error:
        st.error(translate_error(error))
        return None
    with look, st.popover(_("Look at it"), icon=":material/visibility:", width="stretch"):
        _preview(name, tokenizer, seen)
    return CorpusConfig(name=name), tokenizer


def _tokenizer() -> TokenizerConfig:
    names = {"char": _("Characters"), "word": _("Words"), "bpe": _("Byte pairs")}
    kind = st.segmented_control(
        _("One token is"), list(names), default="char", format_func=names.__getitem__, key="tokenizer", required=True,
        persist_state="session", help=_(
            "Characters: every letter is a token. Words: a word with the space before it, a mark or a line end; Chinese"
            " is cut by jieba; words that are too rare for the vocabulary all become the one token �. Byte pairs (BPE):"
            " frequent groups of letters become one token, as in GPT-2. Words and byte pairs are learned from the"
            " training text."
        ),
    )  # fmt: skip
    if kind == "bpe":
        size = st.select_slider(
            _("Vocabulary, tokens"), [300, 500, 1000, 2000, 4000, 8000], 1000, key="vocab_size", persist_state="session"
        )
        return TokenizerConfig(kind="bpe", vocab_size=size)
    if kind == "word":
        size = st.select_slider(
            _("Words in the vocabulary"), [500, 1000, 2000, 4000, 8000, 16000], 4000, key="word_vocab_size",
            persist_state="session",
        )  # fmt: skip
        return TokenizerConfig(kind="word", vocab_size=size)
    return TokenizerConfig()


def _own_text() -> None:
    """Upload or paste; what cannot be read gets a sentence and nothing is kept."""
    files = st.file_uploader(_("Text files (UTF-8, GBK, Big5, UTF-16 ...)"), accept_multiple_files=True, key="files")
    pasted = st.text_area(_("or paste a text"), height=120, key="pasted")
    label = st.text_input(_("Name"), key="corpus_label", placeholder=_("My text"), max_chars=60)
    encoding = st.selectbox(
        _("Encoding"), [None, *ENCODINGS], key="encoding", format_func=lambda name: name or _("found by itself")
    )
    if not st.button(_("Add this text"), type="primary", key="add_text", width="stretch"):
        return
    parts = [(file.name, file.getvalue()) for file in files or []]
    parts += [(_("pasted text"), pasted.encode())] if pasted.strip() else []
    title = label or (parts[0][0] if parts else "")
    try:
        name = add_corpus(data_dir(), title, parts, encoding)
    except LmvizError as error:
        st.error(translate_error(error))
        return
    st.session_state["corpus_added"] = name
    st.rerun()


def _preview(name: str, tokenizer: TokenizerConfig, seen: Preview) -> None:
    """Sizes, commonest characters, first lines."""
    corpus = load_corpus(name, allow_paths=False)
    st.text(_(corpus.description))
    facts = {
        _("Characters"): f"{seen.characters:,}",
        _("Size"): f"{seen.bytes / 1e6:.2f} MB",
        _("Different characters"): f"{seen.distinct_characters:,}",
        _("Vocabulary, tokens"): f"{cache.vocabulary_size(name, tokenizer):,}",
        _("For training"): f"{seen.train_characters:,}",
        _("For validation (the end)"): f"{seen.validation_characters:,}",
    }
    if corpus.encoding:
        facts[_("Encoding")] = corpus.encoding
    st.dataframe({"": list(facts), " ": list(facts.values())}, hide_index=True, width=520)
    st.caption(_("Source and licence"))
    source = _(corpus.source) if name in BUILTIN else corpus.source
    st.text(f"{source} · " + _(corpus.licence))
    st.caption(_("Most frequent characters"))
    st.code(
        "  ".join(f"{visible(c)} {count / seen.characters:.1%}" for c, count in seen.frequent),
        language=None,
        wrap_lines=True,
    )
    st.caption(_("It begins"))
    st.code("\n".join(seen.lines), language=None, height=200)


def visible(character: str) -> str:
    """A character that can be seen: ␣ for a space, ⏎ for a new line, ⇥ for a tab."""
    return {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(character, character)
