"""Where text comes from: built in, read from published packages, or a person's own files. No torch."""

from lmviz.corpora.adding import add_corpus, add_path, keep
from lmviz.corpora.builtin import BUILTIN
from lmviz.corpora.catalog import FETCHABLE
from lmviz.corpora.corpus import Corpus
from lmviz.corpora.large import LargeCorpus
from lmviz.corpora.readers import Reading, TextFile, read_files, read_path
from lmviz.corpora.store import (
    CorpusSummary,
    data_dir,
    list_corpora,
    list_fetchable,
    list_tasks,
    load_corpus,
    load_text,
)
from lmviz.corpora.summary import Preview, preview, word_vocabulary
from lmviz.corpora.text_encoding import ENCODINGS, decode

__all__ = [
    "BUILTIN",
    "ENCODINGS",
    "FETCHABLE",
    "Corpus",
    "CorpusSummary",
    "LargeCorpus",
    "Preview",
    "Reading",
    "TextFile",
    "add_corpus",
    "add_path",
    "data_dir",
    "decode",
    "keep",
    "list_corpora",
    "list_fetchable",
    "list_tasks",
    "load_corpus",
    "load_text",
    "preview",
    "read_files",
    "read_path",
    "word_vocabulary",
]
