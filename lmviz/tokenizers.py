"""Characters, words or byte pairs: a layer on Hugging Face `tokenizers`, whose file format tokenizer.json is ours too.

Every vocabulary begins with <unk>, <begin> and <end>. They are plain entries that no text can produce: "<end>" written
in a text stays five characters.
How words are cut stands in lmviz.words. Their vocabulary is closed: what is not in it is <unk>, in training as well.
tokenizer.json cannot say how jieba cuts Chinese, so `encode` cuts by itself and looks the words up.
BPE: Sennrich et al. 2016; on bytes as in GPT-2: Radford et al. 2019.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tokenizers as hf
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers, trainers

from lmviz.config import TokenizerConfig
from lmviz.errors import N_, CorpusError, LmvizError
from lmviz.pieces import text_chunks
from lmviz.words import cut, frequent_words, word_backend

UNK, BEGIN, END = 0, 1, 2
SPECIAL_TOKENS = ("<unk>", "<begin>", "<end>")
UNKNOWN_CHARACTER = "\ufffd"
_EVERY_CHARACTER = r"[\s\S]"
_SURROGATE = re.compile("[\ud800-\udfff]")
_CHUNKS_AT_ONCE = 64


class Tokenizer:
    """Text to token ids and back, exactly: for bpe any text, for char and word any text of known tokens."""

    def __init__(self, backend: hf.Tokenizer) -> None:
        self.backend = backend
        self.kind: Literal["char", "word", "bpe"] = _kind_of(backend)
        self.source: Tokenizer | None = None
        """Of a model that turns a source into a target: the source's tokenizer; this one is the target's."""
        self.vocab_size: int = backend.get_vocab_size()
        tokens: list[str] = [backend.id_to_token(i) or "" for i in range(self.vocab_size)]
        if tuple(tokens[:3]) != SPECIAL_TOKENS or "" in tokens:
            raise LmvizError(
                N_("The tokenizer does not begin with {special}. Take one that lmviz made."),
                special=", ".join(SPECIAL_TOKENS),
            )
        self._pieces = [UNKNOWN_CHARACTER.encode(), b"", b""]
        self._pieces += [_bytes_of(token) if self.kind == "bpe" else token.encode() for token in tokens[3:]]

    @cached_property
    def _ids(self) -> NDArray[Any]:
        """Code point -> id, for char."""
        table = np.full(0x110000, UNK, self.dtype)
        for i, piece in enumerate(self._pieces[3:], 3):
            table[ord(piece.decode())] = i
        return table

    @cached_property
    def _words(self) -> dict[str, int]:
        """Token -> id, for word."""
        return {piece.decode(): i for i, piece in enumerate(self._pieces[3:], 3)}

    @property
    def dtype(self) -> type[np.uint16] | type[np.uint32]:
        """The smaller type that holds every id."""
        return np.uint16 if self.vocab_size < 65_536 else np.uint32

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without <begin> and <end>; what a char or word tokenizer does not know becomes <unk>.

        Raises:
            LmvizError: the text has a lone surrogate, half of a character.
        """
        ids: list[int] = self.encode_array(text).tolist()
        return ids

    def encode_array(self, text: str) -> NDArray[Any]:
        """As `encode`, an array of `dtype`."""
        if self.kind == "char":
            return self._ids[code_points(text)]
        _refuse_surrogates(text)
        parts: list[int] = []
        if self.kind == "word":
            for chunk in text_chunks([text]):
                parts += [self._words.get(token, UNK) for token in cut(chunk)]
            return self.array(parts)
        for chunks in _batches(text_chunks([text])):
            with _plain_errors():
                for encoding in self.backend.encode_batch_fast(chunks, add_special_tokens=False):
                    parts += encoding.ids
        return self.array(parts)

    def unknown_characters(self, text: str) -> list[str]:
        """Characters (or words) of a text that the tokenizer does not know, each once, as they come; for bpe none.

        Raises:
            LmvizError: the text has a lone surrogate.
        """
        _refuse_surrogates(text)
        if self.kind == "bpe":
            return []
        if self.kind == "word":
            return [token for token in dict.fromkeys(cut(text)) if token not in self._words]
        return [c for c in dict.fromkeys(text) if self._ids[ord(c)] == UNK]

    def byte_lengths(self, text: str) -> NDArray[np.int64]:
        """UTF-8 bytes of the text that each of its tokens stands for, (N,); an unknown one for those it replaces.

        Raises:
            LmvizError: the text has a lone surrogate.
        """
        if self.kind == "bpe":
            return np.array([len(self._pieces[token]) for token in self.encode(text)], np.int64)
        _refuse_surrogates(text)
        parts = text if self.kind == "char" else (word for chunk in text_chunks([text]) for word in cut(chunk))
        return np.array([len(part.encode()) for part in parts], np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids. <begin> and <end> are no text; <unk> and broken UTF-8 become U+FFFD.

        Raises:
            LmvizError: an id that is not in the vocabulary.
        """
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """The UTF-8 of one token, which may be a part of a character for bpe."""
        if not 0 <= token < self.vocab_size:
            raise LmvizError(
                N_("There is no token {token}. Ids run from 0 to {last}."), token=int(token), last=self.vocab_size - 1
            )
        return self._pieces[token]

    def token_text(self, token: int) -> str:
        """One token for people: a byte that is no whole character is shown as ⟨E4⟩, <unk> as U+FFFD."""
        if token in (BEGIN, END):
            return SPECIAL_TOKENS[token]
        return self.token_bytes(token).decode("utf-8", "lmviz_show_bytes")

    def encode_documents(self, documents: Sequence[str]) -> NDArray[Any]:
        """<begin> document <end> <begin> document <end> ... as one array of `dtype`.

        Raises:
            LmvizError: a document has a lone surrogate.
        """
        parts: list[NDArray[Any]] = [np.empty(0, self.dtype)]
        for document in documents:
            parts += [self.array([BEGIN]), self.encode_array(document), self.array([END])]
        return np.concatenate(parts)

    def array(self, ids: Sequence[int]) -> NDArray[Any]:
        """Ids as an array of `dtype`."""
        return np.array(ids, self.dtype)

    def save(self, path: Path) -> None:
        """Write tokenizer.json, which `tokenizers.Tokenizer.from_file` reads."""
        draft = path.with_name(f".{path.name}.draft")  # a reader never sees half a file
        draft.write_text(self.backend.to_str(pretty=True), encoding="utf-8")
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read what `save` wrote.

        Raises:
            LmvizError: the file is missing or no such tokenizer.
        """
        try:
            with _plain_errors():
                return cls(hf.Tokenizer.from_str(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, LmvizError) as error:
            raise LmvizError(
                N_("The tokenizer file {name} cannot be read: {reason}. Take a run whose folder is whole."),
                name=path.name,
                reason=str(error).rstrip("."),
            ) from error


class StreamDecoder:
    """Ids one by one to text as it grows; bytes of an unfinished character are held back until it is whole."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """The text that this token makes certain, often one piece, sometimes none."""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        """What is left at the end: nothing, or U+FFFD for a character that never became whole."""
        return self._decoder.decode(b"", final=True)


def train_tokenizer(
    config: TokenizerConfig, documents: Sequence[str], validation_documents: Sequence[str] = ()
) -> Tokenizer:
    """A tokenizer for a text.

    char: the sorted characters of both parts, as in nanoGPT, so that the validation part has no unknown ones.
    word: the most frequent tokens of `documents` alone, the training part; `vocab_size` counts the special ones too.
    bpe: merges learned from the training part alone; every byte is in the vocabulary from the start.

    Raises:
        CorpusError: there is no text.
    """
    if not any(documents):
        raise CorpusError(N_("There is no text to make a tokenizer from. Choose a corpus with text in it."))
    for document in [*documents, *validation_documents]:
        _refuse_surrogates(document)
    with _plain_errors():
        if config.kind == "char":
            return char_tokenizer(set().union(*documents, *validation_documents))
        if config.kind == "word":
            words = frequent_words(text_chunks(documents), config.vocab_size - len(SPECIAL_TOKENS))
            return Tokenizer(word_backend([*SPECIAL_TOKENS, *words], SPECIAL_TOKENS[UNK]))
        return Tokenizer(_bpe_backend(documents, config.vocab_size))


def char_tokenizer(characters: Iterable[str]) -> Tokenizer:
    """The tokenizer of a set of characters."""
    vocabulary = {token: i for i, token in enumerate([*SPECIAL_TOKENS, *sorted(characters)])}
    backend = hf.Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL_TOKENS[UNK]))
    backend.pre_tokenizer = pre_tokenizers.Split(hf.Regex(_EVERY_CHARACTER), "isolated")
    backend.decoder = decoders.Fuse()
    return Tokenizer(backend)


def _kind_of(backend: hf.Tokenizer) -> Literal["char", "word", "bpe"]:
    """Characters and words are both a WordLevel model; they differ in what cuts the text."""
    if not isinstance(backend.model, models.WordLevel):
        return "bpe"
    rule = json.loads(backend.to_str())["pre_tokenizer"] or {}
    return "char" if rule.get("pattern") == {"Regex": _EVERY_CHARACTER} else "word"


def _bpe_backend(documents: Sequence[str], vocab_size: int) -> hf.Tokenizer:
    backend = hf.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(text_chunks(documents), trainer=trainer)
    # Registered special tokens would be cut out of any text that spells them; as plain entries no merge makes them.
    plain = json.loads(backend.to_str())
    plain["added_tokens"] = []
    return hf.Tokenizer.from_str(json.dumps(plain))


def code_points(text: str) -> NDArray[np.uint32]:
    """(len(text),) the number of each character.

    Raises:
        LmvizError: the text has a lone surrogate.
    """
    try:
        return np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.uint32, copy=False)
    except UnicodeEncodeError:
        raise _surrogate() from None


def _refuse_surrogates(text: str) -> None:
    if _SURROGATE.search(text):
        raise _surrogate()


def _surrogate() -> LmvizError:
    return LmvizError(N_("The text has half of a character in it (a lone surrogate). Type or paste it again."))


def _batches(items: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == _CHUNKS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _byte_table() -> dict[str, int]:
    """GPT-2's letter for every byte: itself where it is printable, else the next letter from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


_BYTES = _byte_table()


def _bytes_of(token: str) -> bytes:
    return bytes(_BYTES[letter] for letter in token)


def _show_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"⟨{b:02X}⟩" for b in error.object[error.start : error.end]), error.end


codecs.register_error("lmviz_show_bytes", _show_bytes)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What the Rust library raises, panics too, as an LmvizError."""
    try:
        yield
    except LmvizError:
        raise
    except BaseException as error:  # a panic is no Exception
        panic = type(error).__name__ == "PanicException"
        if not panic and not isinstance(error, Exception):
            raise
        raise LmvizError(N_("The tokenizer failed: {reason}. Try another text."), reason=str(error)) from error
