"""What if a head were not there? A model some of whose attention heads add nothing, and how much worse each makes it.

The columns of the output projection that read a head are set to zero, which is the same as zeroing what the head gives,
and holds in training, inspection and generation alike. All other weights are shared with the model.
Shapes: B batch, T time, L layers, N heads, D model width, K = D / N.
"""

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from lmviz.decoding.generate import evaluating
from lmviz.errors import N_, ConfigError
from lmviz.inspect.attention_parts import attention_parts
from lmviz.models.attention import MultiHeadAttention
from lmviz.models.base import UNSCORED, Batch, LanguageModel

Head = tuple[str, int, int]
"""Part (attention, cross_attention or encoder_attention), layer, number."""
Module = TypeVar("Module", bound=nn.Module)


def without_heads(model: LanguageModel, off: Collection[Head]) -> LanguageModel:
    """A twin without these heads, whose weights are those of now; the model itself if none is off.

    Raises:
        ConfigError: the model has no such part, layer or head.
    """
    parts = attention_parts(model)
    by_path: dict[str, set[int]] = {}
    for head in off:
        by_path.setdefault(_path(parts, head), set()).add(head[2])
    twin = model
    for path, heads in by_path.items():
        twin = _with_part(twin, path.split("."), heads)
    return twin


def _path(parts: dict[str, dict[str, MultiHeadAttention]], head: Head) -> str:
    """Where its attention is in the model."""
    part, layer, number = head
    if part not in parts:
        raise ConfigError(N_("The model has no {part}. It has: {known}."), part=part, known=", ".join(parts))
    paths = list(parts[part])
    if not 0 <= layer < len(paths):
        raise ConfigError(N_("There is no layer {layer}: the model has {count}."), layer=layer + 1, count=len(paths))
    count = parts[part][paths[layer]].num_heads
    if not 0 <= number < count:
        raise ConfigError(N_("There is no head {head}: a layer has {count}."), head=number + 1, count=count)
    return paths[layer]


def _with_part(module: Module, path: Sequence[str], heads: Collection[int]) -> Module:
    """A copy of the modules along the path, the last of them without the heads; all else is shared."""
    twin = copy(module)
    if path:
        child = module.get_submodule(path[0])
        twin._modules = {**module._modules, path[0]: _with_part(child, path[1:], heads)}
    else:
        assert isinstance(module, MultiHeadAttention)
        twin._modules = {**module._modules, "projection": _projection(module, heads)}
    return twin


def _projection(attention: MultiHeadAttention, heads: Collection[int]) -> nn.Module:
    """The output layer of an attention, deaf to these heads."""
    twin = copy(attention.projection)
    with torch.no_grad():
        weight = twin.weight.clone()  # (D, D)
        weight.view(len(weight), attention.num_heads, -1)[:, list(heads)] = 0  # (D, N, K)
    twin._parameters = {**twin._parameters, "weight": nn.Parameter(weight)}
    return twin


def rank_heads(
    model: LanguageModel, batches: Sequence[Batch], part: str = "attention"
) -> Iterator[float | dict[str, Any]]:  # fmt: skip
    """How much the loss rises with each single head off, after the share that is done at each turn.

    Yields:
        Shares of 1, then {"loss": mean nats a scored token of the whole model, "rises": (L, N) float64}. A rise below
        0: the model is better without it.

    Raises:
        ConfigError: the model has no such part.
    """
    parts = attention_parts(model)
    if part not in parts:
        _path(parts, (part, 0, 0))
    counts = [attention.num_heads for attention in parts[part].values()]
    heads = [(part, layer, head) for layer, count in enumerate(counts) for head in range(count)]
    losses = []
    for off in [[], *([head] for head in heads)]:
        losses.append(mean_loss(without_heads(model, off), batches))
        yield len(losses) / (len(heads) + 1)
    rises = np.array(losses[1:]).reshape(len(counts), -1) - losses[0]
    yield {"loss": losses[0], "rises": rises}


def mean_loss(model: LanguageModel, batches: Sequence[Batch]) -> float:
    """Nats a scored token over all batches; NaN if none is scored."""
    with evaluating(model):
        losses = [model.token_losses(batch)[batch.targets != UNSCORED].double() for batch in batches]
    return float(torch.cat(losses).mean())
