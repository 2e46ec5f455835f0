"""Choose the text to learn: built in, added before, fetched, or the person's own, with a look at it."""

import streamlit as st

from lmviz.config import CorpusConfig, TokenizerConfig
from lmviz.corpora import CorpusSummary, Preview, list_corpora, load_corpus
from lmviz.errors import LmvizError
from lmviz.ui import cache
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.more_texts import more_texts
from lmviz.ui.own_text import own_text

DEFAULT = "python-reference"


def corpus_picker() -> tuple[CorpusConfig, TokenizerConfig] | None:
    """The row of controls; None if the chosen text cannot be used (a sentence says why)."""
    known = {row.name: row for row in list_corpora()}
    kinds = {"builtin": _("built in"), "added": _("added"), "fetched": _("fetched")}
    labels = {name: f"{_title(row)} · {kinds[row.kind]}" for name, row in known.items()}
    if added := st.session_state.pop("corpus_added", None):
        st.session_state["corpus"] = added
        st.session_state["texts_added"] = st.session_state.get("texts_added", 0) + 1
    if st.session_state.get("corpus") not in (None, *known):
        st.session_state["corpus"] = DEFAULT
    text, own, look, cut = st.columns([4, 2, 2, 3], vertical_alignment="bottom")
    with text:
        name = st.selectbox(
            _("Text to learn"), list(known), index=list(known).index(DEFAULT), key="corpus",
            format_func=labels.__getitem__, persist_state="session",
        )  # fmt: skip
    count = st.session_state.get("texts_added", 0)  # after adding, the popover is another one, and closed
    with own, st.popover(_("Your own text"), icon=":material/upload_file:", width="stretch", key=f"own_{count}"):
        own, more = st.tabs([_("Your own text"), _("More texts")])
        with own:
            own_text()
        with more:
            more_texts()
    with cut:
        tokenizer = _tokenizer()
    try:
        seen = cache.corpus_preview(name)
    except LmvizError as error:
        show_error(error)
        return None
    with look, st.popover(_("Look at it"), icon=":material/visibility:", width="stretch"):
        _preview(known[name], tokenizer, seen)
    return CorpusConfig(name=name), tokenizer


def _tokenizer() -> TokenizerConfig:
    names = {"char": _("Characters"), "word": _("Words"), "bpe": _("Byte pairs")}
    kind = st.segmented_control(
        _("One token is"), list(names), default="char", format_func=names.__getitem__, key="tokenizer", required=True,
        persist_state="session", help=_(
            "Characters: every character is a token. Words: a word with the space before it, a mark or a line end;"
            " Chinese is cut by jieba; words that are too rare for the vocabulary all become the one token �. Byte"
            " pairs (BPE): frequent groups of characters become one token, as in GPT-2. Words and byte pairs are"
            " learned from the training text."
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


def _title(row: CorpusSummary) -> str:
    """A person's own title as it is, ours in the current language."""
    return row.title if row.kind == "added" else _(row.title)


def _preview(row: CorpusSummary, tokenizer: TokenizerConfig, seen: Preview) -> None:
    """Sizes, commonest characters, first lines."""
    corpus = load_corpus(row.name, allow_paths=False)
    st.text(_(corpus.description))
    facts = {
        _("Characters"): f"{seen.characters:,}",
        _("Size"): f"{seen.bytes / 1e6:.2f} MB",
        _("Different characters"): f"{seen.distinct_characters:,}",
        _("Vocabulary, tokens"): _vocabulary(cache.vocabulary_size(row.name, tokenizer), tokenizer),
        _("For training"): f"{seen.train_characters:,}",
        _("For validation (the end)"): f"{seen.validation_characters:,}",
    }
    if corpus.encoding:
        facts[_("Encoding")] = corpus.encoding
    st.dataframe({"": list(facts), " ": list(facts.values())}, hide_index=True, width=520)
    st.caption(_("Source and licence"))
    source = corpus.source if row.kind == "added" else _(corpus.source)
    st.text(f"{source} · " + _(corpus.licence))
    st.caption(_("Most frequent characters"))
    st.code(
        "  ".join(f"{visible(c)} {count / seen.characters:.1%}" for c, count in seen.frequent),
        language=None,
        wrap_lines=True,
    )
    st.caption(_("It begins"))
    st.code("\n".join(seen.lines), language=None, height=200)


def _vocabulary(size: int, tokenizer: TokenizerConfig) -> str:
    """All of what was asked for is there unless the text is short."""
    if tokenizer.kind != "char" and size == tokenizer.vocab_size:
        return _("at most {count}").format(count=f"{size:,}")
    return f"{size:,}"


def visible(character: str) -> str:
    """A character that can be seen: ␣ for a space, ⏎ for a new line, ⇥ for a tab."""
    return {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(character, character)
