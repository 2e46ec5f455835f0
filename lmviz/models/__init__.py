"""The models, one file a family. MODELS maps a kind to its builder; torch is imported when a model is built."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmviz.config import ModelConfig
    from lmviz.models.base import LanguageModel

MODELS: dict[str, str] = {
    "ngram": "lmviz.models.ngram:build",
    "rnn": "lmviz.models.recurrent:build",
    "nvsi": "lmviz.models.recurrent:build",
    "gru": "lmviz.models.recurrent:build",
    "lstm": "lmviz.models.recurrent:build",
    "seq2seq": "lmviz.models.seq2seq:build",
    "seq2seq-attention": "lmviz.models.seq2seq:build",
    "transformer": "lmviz.models.transformer:build",
    "bert": "lmviz.models.bert:build",
    "gpt": "lmviz.models.gpt:build",
}
"""kind -> `module:function`; a builder takes (config, vocab_size, context_length) and returns a LanguageModel. Kinds
that read a source take `source_vocab_size` as well, and bert `classes` if it is to tell classes.
"""


def build_model(config: "ModelConfig", vocab_size: int, context_length: int, **more: int) -> "LanguageModel":
    """The model of `config`, freshly initialised from torch's current default generator.

    Raises:
        KeyError: the kind is not in MODELS (pydantic refuses unknown kinds long before).
    """
    module, _, function = MODELS[config.kind].partition(":")
    builder: Callable[..., LanguageModel] = getattr(import_module(module), function)
    return builder(config, vocab_size, context_length, **more)
