"""The tokens of a large text: made once, a piece at a time, and read from files ever after, so that no process holds
them.

    <data>/.tokens/<fingerprint>-<tokenizer>-<validation fraction>/
        train.bin  validation.bin  tokenizer.json  meta.json

The folder appears whole or not at all: it is written under another name, with a lock that the system frees when its
writer dies. Who finds another at work on the same tokens waits for it, unless it stands still (a run that was paused).
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from lmviz.config import TokenizerConfig
from lmviz.corpora.corpus import training_characters
from lmviz.corpora.large import LargeCorpus
from lmviz.corpora.store import data_dir
from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_TOKEN_BYTES, TOKENIZER_SAMPLE
from lmviz.runs import write_json
from lmviz.tokenizers import BEGIN, END, UNK, Tokenizer, char_tokenizer, train_tokenizer
from lmviz.turns import IDLE, Show, Turns, ignore

OPENING = 10_000
"""Characters of the validation text that are kept to find a prompt in."""
STILL = 5.0
"""Seconds without progress after which nobody waits for another's work."""
QUIET = 1.0
"""Seconds without progress after which a writer may have died."""
PARTS = ("train", "validation")
FINGERPRINTED, SURVEYED, LEARNED = 0.15, 0.25, 0.3
"""Share that is done when the text is recognized, when its characters are counted, and when the tokenizer is made."""


class TokenFiles:
    """A finished folder."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = Tokenizer.load(folder / "tokenizer.json")
        self.meta: dict[str, Any] = json.loads((folder / "meta.json").read_bytes())
        self.train, self.validation = (
            np.memmap(folder / f"{part}.bin", self.tokenizer.dtype, mode="r") for part in PARTS
        )


def token_files(
    corpus: LargeCorpus, validation_fraction: float, config: TokenizerConfig, show: Show = ignore
) -> Turns[TokenFiles]:
    """Turns that return the tokens, made now or before.

    The tokenizer is that of the whole text: characters of both parts; words and byte pairs from the training part, of
    which a text with more than TOKENIZER_SAMPLE characters shows that many, spread evenly.

    Raises:
        CorpusError: the text is no text, too short, or changed while it was read.
    """
    fingerprint = yield from corpus.fingerprinting(lambda share: show(FINGERPRINTED * share))
    root = data_dir() / ".tokens"
    folder = root / f"{fingerprint[:32]}-{_key(config)}-{validation_fraction!r}"
    root.mkdir(parents=True, exist_ok=True)
    _clean(root)
    while True:
        share = _work_of_another(folder)
        if (folder / "meta.json").exists():  # looked for last: the other may have finished just now
            break
        if share is not None:
            show(share)
            time.sleep(0.01)
            yield IDLE
            continue
        with _draft(folder) as draft:
            yield from _make(corpus, validation_fraction, config, draft, _Progress(draft, show))
            _publish(draft, folder)
    show(1.0)
    (folder / "meta.json").touch()  # what is used is not cleaned away
    return TokenFiles(folder)


def _key(config: TokenizerConfig) -> str:
    """A short name of what decides the tokenizer besides the text."""
    fields = {"kind"} if config.kind == "char" else None
    values = json.dumps([1, TOKENIZER_SAMPLE, config.model_dump(include=fields)], sort_keys=True)
    return hashlib.sha256(values.encode()).hexdigest()[:12]


def _make(
    corpus: LargeCorpus, validation_fraction: float, config: TokenizerConfig, draft: Path, show: Show
) -> Turns[None]:
    counted = SURVEYED - FINGERPRINTED
    survey = yield from corpus.surveying(lambda share: show(FINGERPRINTED + counted * share))
    border = training_characters(survey.characters, validation_fraction, corpus.title)
    if config.kind == "char":
        tokenizer = char_tokenizer(survey.alphabet)
    else:
        tokenizer = yield from _learn(corpus, border, config, show)
    tokenizer.save(draft / "tokenizer.json")
    with (draft / "train.bin").open("wb") as train, (draft / "validation.bin").open("wb") as validation:
        parts = _Part(train, tokenizer), _Part(validation, tokenizer)
        yield from _write(corpus, border, parts, lambda share: show(LEARNED + (1 - LEARNED) * share))
    corpus.check_unchanged()
    meta = {name: part.facts() for name, part in zip(PARTS, parts, strict=True)}
    characters = sum(part.characters for part in parts)
    if characters != survey.characters or (config.kind == "char" and any(part.unknown for part in parts)):
        raise CorpusError(N_("The corpus {name} is damaged. Add its text again."), name=corpus.name)
    write_json(draft / "meta.json", {**meta, "opening": parts[1].opening})


def _learn(corpus: LargeCorpus, border: int, config: TokenizerConfig, show: Show) -> Turns[Tokenizer]:
    """Words or byte pairs of a sample, learned in a thread: it takes seconds that others should not wait."""
    texts = []
    for text in corpus.sample(border, TOKENIZER_SAMPLE):
        texts.append(text)
        show(SURVEYED)
        yield None
    pool = ThreadPoolExecutor(1)
    learning = pool.submit(train_tokenizer, config, texts)
    pool.shutdown(wait=False)
    while not learning.done():
        wait([learning], 0.02)
        show(SURVEYED)
        yield IDLE
    return learning.result()


def _write(corpus: LargeCorpus, border: int, parts: "tuple[_Part, _Part]", show: Show) -> Turns[None]:
    """<begin> document <end> ... of both parts into their files."""
    whole = parts[0].tokenizer.kind != "char"
    total, done = corpus.survey.characters, 0
    for (validation, _), pieces in corpus.grouped(border, whole=whole):
        part = parts[validation]
        part.mark(BEGIN)
        for piece in pieces:
            part.write(piece)
            done += len(piece)
            show(done / total)
            yield None
        part.mark(END)


class _Part:
    """One of the two files, as it grows."""

    def __init__(self, file: BinaryIO, tokenizer: Tokenizer) -> None:
        self.file, self.tokenizer = file, tokenizer
        self.characters = self.tokens = self.unknown = 0
        self.documents = 0
        self.opening = ""

    def mark(self, token: int) -> None:
        """<begin> or <end>."""
        self._put(self.tokenizer.array([token]))
        self.documents += token == BEGIN

    def write(self, text: str) -> None:
        ids = self.tokenizer.encode_array(text)
        if self.documents == 1 and len(self.opening) < OPENING:
            self.opening += text[: OPENING - len(self.opening)]
        self.characters += len(text)
        self.unknown += int(np.count_nonzero(ids == UNK))
        self._put(ids)

    def facts(self) -> dict[str, int]:
        return {"characters": self.characters, "tokens": self.tokens, "unknown": self.unknown}

    def _put(self, ids: NDArray[Any]) -> None:
        self.file.write(ids.data)
        self.tokens += len(ids)


class _Progress:
    """Shows the share that is done, and leaves it in the draft for those who wait."""

    def __init__(self, draft: Path, show: Show) -> None:
        self.file, self.show = draft / "progress", show
        self.written = 0.0

    def __call__(self, share: float) -> None:
        self.show(share)
        if time.monotonic() - self.written > STILL / 10:
            self.file.write_text(str(share))
            self.written = time.monotonic()


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A folder to write in that is gone afterwards, unless it was published."""
    draft = Path(tempfile.mkdtemp(prefix=f".draft-{folder.name}-", dir=folder.parent))
    try:
        with FileLock(draft / "lock"):
            yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _publish(draft: Path, folder: Path) -> None:
    draft.chmod(0o755)
    try:
        draft.rename(folder)
    except OSError:
        if not (folder / "meta.json").exists():  # else another was faster, and wrote the same
            raise
    for name in ("progress", "lock"):
        (folder / name).unlink(missing_ok=True)


def _work_of_another(folder: Path) -> float | None:
    """The share that somebody else has done of the same tokens; None if nobody is getting on with them."""
    drafts = _living_drafts(folder.parent, folder.name)
    return max((_share(draft) for draft in drafts if _age(draft) < STILL), default=None)


def _living_drafts(root: Path, name: str = "") -> list[Path]:
    """Drafts that somebody is writing; those of dead writers are removed."""
    living = []
    for draft in root.glob(f".draft-{name}*"):
        if _is_dead(draft):
            shutil.rmtree(draft, ignore_errors=True)
        else:
            living.append(draft)
    return living


def _age(draft: Path) -> float:
    """Seconds since its writer got on."""
    try:
        return time.time() - max(path.stat().st_mtime for path in (draft, *draft.iterdir()))
    except OSError:
        return float("inf")


def _share(draft: Path) -> float:
    try:
        return float((draft / "progress").read_text())
    except (OSError, ValueError):
        return 0.0


def _clean(root: Path) -> None:
    """Remove what dead writers left, and the tokens not used for longest if all together are too many bytes."""
    _living_drafts(root)
    size = 0
    for meta in sorted(root.glob("[!.]*/meta.json"), key=lambda path: -path.stat().st_mtime):
        size += sum(file.stat().st_size for file in meta.parent.iterdir())
        if size > MAX_TOKEN_BYTES:
            shutil.rmtree(meta.parent, ignore_errors=True)  # whoever reads these files keeps them until it ends


def _is_dead(draft: Path) -> bool:
    if _age(draft) < QUIET:  # a writer that has not taken its lock yet, or one that needs no asking
        return False
    try:
        with FileLock(draft / "lock", timeout=0):
            return True
    except Timeout:
        return False
    except OSError:
        return True
