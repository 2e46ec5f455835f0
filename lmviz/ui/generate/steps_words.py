"""What the part Step by step says in words. Plain values, no Streamlit."""

import math
from itertools import pairwise
from typing import Any

from lmviz.ui.i18n import _
from lmviz.ui.tokens import visible_token


def drawn_words(drawn: dict[str, Any], strategy: str, seed: int) -> str:
    """What is taken next, and what its chance was."""
    words = (
        _("Next comes “{token}”, the likeliest: the model gives it {chance}")
        if strategy == "greedy"
        else _("Next comes “{token}”: its chance was {chance}, and seed {seed} drew it")
    )
    chance = drawn["probability"] if strategy != "greedy" else math.exp(drawn["logprob"])
    return words.format(token=visible_token(drawn["text"]), chance=f"{chance:.1%}", seed=seed)


def stage_words(answer: dict[str, Any], decoding: dict[str, Any]) -> list[str]:
    """A sentence for each stage that is on: what it took."""
    names = {
        "special": _("Marks out: <unk> and <begin> are no text and never come (they had {gone})."),
        "repetition_penalty": _("Repetition penalty {value}: tokens that occurred have lower logits."),
        "frequency_penalty": _("Frequency penalty {value}: taken from a logit each time its token was written."),
        "presence_penalty": _("Presence penalty {value}: taken once from the logits of tokens that were written."),
        "no_repeat_ngram": _("No repeated run of {value}: what would repeat one is out (it had {gone})."),
        "temperature": _("Temperature {value}: entropy from {before} to {after} nats."),
        "top_k": _("Top-k {value} keeps {kept} tokens; those out had {gone}."),
        "top_p": _("Top-p {value} keeps {kept} tokens; those out had {gone}."),
        "min_p": _("Min-p {value} keeps {kept} tokens; those out had {gone}."),
    }
    stages = answer["stages"]
    found = [_("The model: entropy {entropy} nats over {count} tokens.").format(
        entropy=f"{stages[0]['entropy']:.2f}", count=f"{answer['vocabulary']:,}"
    )]  # fmt: skip
    for before, stage in pairwise(stages):
        found.append(
            names[stage["name"]].format(
                value=f"{decoding.get(stage['name'], '')}",
                gone=f"{stage['gone']:.2%}",
                kept=f"{stage['kept']:,}",
                before=f"{before['entropy']:.2f}",
                after=f"{stage['entropy']:.2f}",
            )
        )
    return found
