"""The attentions of a model by the names they are asked for, and what those of a text-reading one did.

Shapes: B batch, T time, L layers.
"""

from torch import Tensor

from lmviz.decoding.generate import evaluating
from lmviz.errors import N_, ConfigError
from lmviz.models.attention import Attended, MultiHeadAttention, watched
from lmviz.models.base import LanguageModel
from lmviz.models.bert import BERT
from lmviz.models.gpt import GPT

NEEDS_HEADS = N_("This needs a model with attention heads: gpt, bert or transformer. Choose a run of one of these.")
NEEDS_SELF_ATTENTION = N_("This needs a model that looks at its own text: gpt or bert. Choose a run of one of these.")


def attention_parts(model: LanguageModel) -> dict[str, dict[str, MultiHeadAttention]]:
    """attention | cross_attention | encoder_attention -> path in the model -> module, the lowest layer first.

    Raises:
        ConfigError: it has no heads.
    """
    parts: dict[str, dict[str, MultiHeadAttention]] = {}
    for path, module in model.named_modules():
        if isinstance(module, MultiHeadAttention):
            parts.setdefault(_part(path), {})[path] = module
    if not parts:
        raise ConfigError(NEEDS_HEADS)
    return parts


def _part(path: str) -> str:
    name = path.rpartition(".")[2]
    return "encoder_attention" if path.startswith("encoder.") else name


def reader(model: LanguageModel) -> GPT | BERT:
    """The model, if all its attention is over the text that it reads.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(model, GPT | BERT):
        raise ConfigError(NEEDS_SELF_ATTENTION)
    return model


def self_attention(model: LanguageModel, tokens: Tensor) -> list[Attended]:
    """What each layer's attention did while `model` read tokens (B, T), the lowest first (L,).

    Raises:
        ConfigError: its attention is not over its own text, or T is more than it can look at.
    """
    with evaluating(reader(model)), watched(model) as seen:
        model(tokens)
    return [once for (once,) in seen.values()]
