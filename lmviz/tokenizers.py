"""Characters or byte pairs: a thin layer on Hugging Face `tokenizers`, whose file format tokenizer.json is ours too.

Every vocabulary begins with <unk>, <begin> and <end>. They are plain entries that no text can produce: "<end>" written
in a text stays five characters. It is not a word tokenizer.
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

UNK, BEGIN, END = 0, 1, 2
SPECIAL_TOKENS = ("<unk>", "<begin>", "<end>")
UNKNOWN_CHARACTER = "\ufffd"
_SURROGATE = re.compile("[\ud800-\udfff]")
_CHUNK = 16_384
_CHUNKS_AT_ONCE = 64


class Tokenizer:
    """Text to token ids and back, exactly: for bpe any text, for char any text of known characters."""

    def __init__(self, backend: hf.Tokenizer) -> None:
        self.backend = backend
        self.kind: Literal["char", "bpe"] = "char" if isinstance(backend.model, models.WordLevel) else "bpe"
        self.vocab_size: int = backend.get_vocab_size()
        tokens: list[str] = [backend.id_to_token(i) or "" for i in range(self.vocab_size)]
        if tuple(tokens[:3]) != SPECIAL_TOKENS or "" in tokens:
            raise LmvizError(
                N_("The tokenizer does not begin with {special}. Take one that lmviz made."),
                special=", ".join(SPECIAL_TOKENS),
            )
        self._pieces = [UNKNOWN_CHARACTER.encode(), b"", b""]
        self._pieces += [token.encode() if self.kind == "char" else _bytes_of(token) for token in tokens[3:]]

    @cached_property
    def _ids(self) -> NDArray[np.uint32]:
        """Code point -> id, for char."""
        table = np.full(0x110000, UNK, dtype=np.uint32)
        for i, piece in enumerate(self._pieces[3:], 3):
            table[ord(piece.decode())] = i
        return table

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without <begin> and <end>; characters that a char tokenizer does not know become <unk>.

        Raises:
            LmvizError: the text has a lone surrogate, half of a character.
        """
        ids: list[int] = self._encode(text).tolist()
        return ids

    def _encode(self, text: str) -> NDArray[np.uint32]:
        if self.kind == "char":
            return self._ids[code_points(text)]
        _refuse_surrogates(text)
        parts: list[int] = []
        for chunks in _batches(_chunks([text])):
            with _plain_errors():
                for encoding in self.backend.encode_batch_fast(chunks, add_special_tokens=False):
                    parts += encoding.ids
        return np.array(parts, dtype=np.uint32)

    def unknown_characters(self, text: str) -> list[str]:
        """Characters of a text that the tokenizer does not know, each once, as they come. Always none for bpe.

        Raises:
            LmvizError: the text has a lone surrogate.
        """
        _refuse_surrogates(text)
        if self.kind == "bpe":
            return []
        return [c for c in dict.fromkeys(text) if self._ids[ord(c)] == UNK]

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
        """<begin> document <end> <begin> document <end> ... as one array, uint16 if the vocabulary allows, else uint32.

        Raises:
            LmvizError: a document has a lone surrogate.
        """
        dtype = np.uint16 if self.vocab_size < 65_536 else np.uint32
        parts: list[NDArray[Any]] = [np.empty(0, dtype)]
        for document in documents:
            parts += [np.array([BEGIN], dtype), self._encode(document).astype(dtype), np.array([END], dtype)]
        return np.concatenate(parts)

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
    bpe: merges learned from `documents` alone, the training part; every byte is in the vocabulary from the start.

    Raises:
        CorpusError: there is no text.
    """
    if not any(documents):
        raise CorpusError(N_("There is no text to make a tokenizer from. Choose a corpus with text in it."))
    for document in [*documents, *validation_documents]:
        _refuse_surrogates(document)
    with _plain_errors():
        if config.kind == "char":
            return Tokenizer(_char_backend([*documents, *validation_documents]))
        return Tokenizer(_bpe_backend(documents, config.vocab_size))


def _char_backend(documents: Sequence[str]) -> hf.Tokenizer:
    characters = sorted(set().union(*documents))
    vocabulary = {token: i for i, token in enumerate([*SPECIAL_TOKENS, *characters])}
    backend = hf.Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL_TOKENS[UNK]))
    backend.pre_tokenizer = pre_tokenizers.Split(hf.Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return backend


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
    backend.train_from_iterator(_chunks(documents), trainer=trainer)
    # Registered special tokens would be cut out of any text that spells them; as plain entries no merge makes them.
    plain = json.loads(backend.to_str())
    plain["added_tokens"] = []
    return hf.Tokenizer.from_str(json.dumps(plain))


def code_points(text: str) -> NDArray[np.uint32]:
    """(len(text),) the number of each character.

    Raises:
        LmvizError: the text has a lone surrogate.
    """
    _refuse_surrogates(text)
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.uint32, copy=False)


def _refuse_surrogates(text: str) -> None:
    if _SURROGATE.search(text):
        raise LmvizError(N_("The text has half of a character in it (a lone surrogate). Type or paste it again."))


def _chunks(documents: Iterable[str]) -> Iterator[str]:
    """Documents in pieces that need little memory, cut only where GPT-2's rule cuts anyway.

    That rule never lets a token run from a character that is no white space into a space or a line end.
    """
    safe = re.compile(r"(?<=\S)(?=[ \n])")
    for document in documents:
        start = 0
        while start < len(document):
            cut = safe.search(document, start + _CHUNK)
            end = cut.start() if cut else len(document)
            yield document[start:end]
            start = end


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
