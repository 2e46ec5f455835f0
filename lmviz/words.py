r"""Words and marks: how the word tokenizer cuts a text, and which words it keeps.

A token is, in this order of preference,

- an indentation: a run of two to sixteen spaces;
- a word: letters and digits, apostrophes inside it, and the one space before it (" the", "don't", "x1");
- a Chinese word, as jieba cuts it with its dictionary and without guessing (HMM=False);
- a mark and the one space before it (".", " (", "_");
- any other character alone: a line end, a tab, a space that no word follows.

The space belongs to the word, as in GPT-2, so a sentence has half as many tokens; the tokens of a text, one after the
other, are the text. Other scripts without spaces (Japanese kana, Thai) stay in long runs: byte pairs fit them better.
"""

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain, islice
from typing import TYPE_CHECKING

import tokenizers as hf
from tokenizers import decoders, models, pre_tokenizers

if TYPE_CHECKING:
    import jieba

_HAN = "\u4e00-\u9fd5"
"""The Chinese characters that jieba's dictionary is made of."""
_CHINESE = re.compile(f"[{_HAN}]")
_PART = rf"[\p{{L}}\p{{N}}&&[^{_HAN}]][\p{{L}}\p{{N}}\p{{M}}&&[^{_HAN}]]*"
PATTERN = rf" {{2,16}}| ?{_PART}(?:['’]{_PART})*|[{_HAN}]+| ?[^\p{{L}}\p{{N}} \t\n\r]|[\s\S]"
"""The cut as a regular expression of Hugging Face, for tokenizer.json; a run of Chinese stays uncut there."""


@cache
def _rule() -> re.Pattern[str]:
    """PATTERN for Python's `re`, which is six times as fast here and has no class of accents (category M)."""
    accents = _ranges(c for c in range(0x300, 0xE01F0) if unicodedata.category(chr(c))[0] == "M")
    letters = rf"[^\W_{_HAN}]+"
    part = rf"{letters}(?:[{accents}]+(?:{letters})?)*"
    return re.compile(rf" {{2,16}}| ?{part}(?:['’]{part})*|[{_HAN}]+| ?(?:[^\w \t\n\r]|_)|[\s\S]")


def _ranges(codes: Iterable[int]) -> str:
    """Ascending code points as the inside of a character class."""
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in found)


def cut(text: str) -> Iterable[str]:
    """The tokens of a text, which joined are the text."""
    tokens: list[str] = _rule().findall(text)
    if not _CHINESE.search(text):
        return tokens
    return chain.from_iterable(_jieba().cut(t, HMM=False) if _CHINESE.match(t) else (t,) for t in tokens)


@cache
def _jieba() -> "jieba.Tokenizer":
    """jieba with its own dictionary, read here: it would keep a copy in the folder for temporary files otherwise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its source has escapes that newer Pythons warn of
        import jieba

    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


def frequent_words(texts: Iterable[str], limit: int) -> list[str]:
    """The `limit` most frequent tokens, most frequent first, equally frequent ones in the order of their characters."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(cut(text))
    return sorted(counts, key=lambda token: (-counts[token], token))[:limit]


def count_words(texts: Iterable[str], limit: int) -> int:
    """How many tokens `frequent_words` gives; reads no further than it takes to know."""
    known: set[str] = set()
    for text in texts:
        tokens = iter(cut(text))
        while piece := set(islice(tokens, 10_000)):
            known |= piece
            if len(known) >= limit:
                return limit
    return len(known)


def word_backend(vocabulary: Sequence[str], unknown: str) -> hf.Tokenizer:
    """A tokenizer of Hugging Face with these tokens; for a text without Chinese its ids are ours."""
    backend = hf.Tokenizer(models.WordLevel({token: i for i, token in enumerate(vocabulary)}, unk_token=unknown))
    backend.pre_tokenizer = pre_tokenizers.Split(hf.Regex(PATTERN), "isolated")
    backend.decoder = decoders.Fuse()
    return backend
