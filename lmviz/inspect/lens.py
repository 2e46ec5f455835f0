"""The logit lens: what a model would predict if it ended after each of its layers (nostalgebraist 2020).

What flows through a Transformer keeps its shape from layer to layer, so the output layer can read it anywhere, as if
the layers above were not there. Nothing trained it for that: what it says of low layers is a hint and no more.
Shapes: B batch, T time, V vocabulary, L layers, D model width, K likeliest tokens.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmviz.decoding.generate import evaluating
from lmviz.errors import N_, ConfigError
from lmviz.inspect.attention_parts import reader
from lmviz.models.base import LanguageModel
from lmviz.models.bert import BERT
from lmviz.models.gpt import GPT


def logit_lens(model: LanguageModel, tokens: Tensor, read: Tensor | None = None, top: int = 5) -> dict[str, Any]:
    """What each depth predicts at each place: tokens (T,) -> arrays. Depth 0 is the embedding, depth L the model.

    Args:
        read: what the model reads (T,), such as the tokens with some hidden; the tokens themselves if None.

    Returns:
        {"tokens": ids of the likeliest (L + 1, T, K), "chances": theirs (L + 1, T, K), "true": chance of the token that
        is right there (L + 1, T), "kl": how far from the model's own prediction, nats (L + 1, T), as
        KL(final || depth): 0 at depth L}. Right is the next token for gpt (NaN at the last place, where it is not
        known), and for bert the token of that place.

    Raises:
        ConfigError: the model is neither gpt nor bert, tells classes, or cannot look at T tokens.
    """
    stack = reader(model)
    if isinstance(stack, BERT) and stack.classes is not None:
        raise ConfigError(N_("This model tells classes and predicts no tokens. Choose the bert it was trained from."))
    shift = 1 if isinstance(stack, GPT) else 0
    with evaluating(model):
        depths = residuals(stack, (tokens if read is None else read)[None])
        final = lens_logits(stack, depths[-1])[0].log_softmax(-1)  # (T, V)
        found = [_predictions(lens_logits(stack, x)[0], final, tokens[shift:], top) for x in depths]
    return {name: np.stack([one[name].numpy() for one in found]) for name in found[0]}


def residuals(model: GPT | BERT, tokens: Tensor) -> list[Tensor]:
    """What flows between the blocks of a model in evaluation: (B, T) -> L + 1 times (B, T, D), the embedding first."""
    found: list[Tensor] = []
    blocks = model.layers
    hooks = [blocks[0].register_forward_pre_hook(lambda _block, given: found.append(given[0]))]
    hooks += [block.register_forward_hook(lambda _block, _given, out: found.append(out)) for block in blocks]
    try:
        model(tokens)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def lens_logits(model: GPT | BERT, x: Tensor) -> Tensor:
    """The output layer on what flows after any block: (B, T, D) -> (B, T, V).

    The last norm comes first where the blocks begin with one (`GPT.head` has it in it); those that end with one have
    none after them.
    """
    if isinstance(model, BERT) and model.pre:
        x = model.norm(x)
    return model.head(x)


def _predictions(logits: Tensor, final: Tensor, right: Tensor, top: int) -> dict[str, Tensor]:
    """One depth: logits (T, V), the model's log-probabilities (T, V), what is right at the first places."""
    logprobs = logits.log_softmax(-1)  # (T, V)
    best = logprobs.topk(min(top, logprobs.shape[-1]), -1)
    true = torch.full((len(logprobs),), torch.nan)
    true[: len(right)] = logprobs[: len(right)].gather(1, right[:, None])[:, 0].exp()
    kl = (final.exp() * (final - logprobs)).sum(-1).clamp(min=0)  # (T,)
    return {"tokens": best.indices, "chances": best.values.exp(), "true": true, "kl": kl}
