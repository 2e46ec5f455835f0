"""Where text comes from: built in, read from installed packages, or a person's own files. No torch."""

from lmviz.corpora.builtin import BUILTIN
from lmviz.corpora.corpus import Corpus
from lmviz.corpora.large import LargeCorpus
from lmviz.corpora.store import CorpusSummary, add_corpus, data_dir, list_corpora, load_corpus, load_text
from lmviz.corpora.summary import Preview, preview, word_vocabulary
from lmviz.corpora.text_encoding import ENCODINGS, decode

__all__ = [
    "BUILTIN",
    "ENCODINGS",
    "Corpus",
    "CorpusSummary",
    "LargeCorpus",
    "Preview",
    "add_corpus",
    "data_dir",
    "decode",
    "list_corpora",
    "load_corpus",
    "load_text",
    "preview",
    "word_vocabulary",
]
