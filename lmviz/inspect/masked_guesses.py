"""What a BERT takes for the tokens that are hidden from it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lmviz.decoding.generate import evaluating
from lmviz.errors import N_, ConfigError
from lmviz.models.base import LanguageModel
from lmviz.models.bert import BERT


def masked_guesses(model: LanguageModel, tokens: Tensor, places: Sequence[int], top: int = 8) -> list[dict[str, Any]]:
    """The likeliest tokens at some places of tokens (T,), all of which are hidden at once; one answer a place.

    Returns:
        [{"place", "guesses": [[id, chance], ...], "token": the one that stands there, "chance" of it, "rank": 1 + the
        number of tokens that are likelier}, ...]

    Raises:
        ConfigError: the model is no bert that guesses tokens, a place is not in the text, or the text is too long.
    """
    if not isinstance(model, BERT) or model.classes is not None:
        raise ConfigError(N_("Only a bert that was trained on hidden tokens guesses them. Choose a run of one."))
    if not places or not all(0 <= place < len(tokens) for place in places):
        raise ConfigError(N_("Choose the places to hide, from 0 to {last}."), last=len(tokens) - 1)
    at = torch.tensor(list(places))
    with evaluating(model):
        logits = model(hidden(model, tokens, places)[None])[0, at]  # (places, V)
    chances, right = logits.softmax(-1), tokens[at, None]  # (places, 1)
    best = chances.topk(min(top, model.vocab_size))
    ranks = 1 + (logits > logits.gather(1, right)).sum(1)
    true = chances.gather(1, right)[:, 0]
    columns = [one.tolist() for one in (at, best.indices, best.values, tokens[at], true, ranks)]
    return [
        {
            "place": place,
            "guesses": [[token, each] for token, each in zip(ids, likely, strict=True)],
            "token": token,
            "chance": chance,
            "rank": rank,
        }
        for place, ids, likely, token, chance, rank in zip(*columns, strict=True)
    ]


def hidden(model: BERT, tokens: Tensor, places: Sequence[int]) -> Tensor:
    """The tokens (T,) as the model reads them with some places hidden (T,)."""
    return tokens.index_fill(0, torch.tensor(list(places)), model.mask_token)
