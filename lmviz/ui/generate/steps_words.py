"""Words for one step of writing: what each stage is called, what it did, and how the draw went."""

import math
from typing import Any

from lmviz.ui.i18n import _
from lmviz.ui.tokens import visible_token

Answer = dict[str, Any]


def percent(share: float) -> str:
    """As exact as is read: 43.2%, 0.31%, <0.01%; 0% only if it is nothing."""
    if share == 0:
        return "0%"
    if share < 0.0001:
        return "<0.01%"
    return f"{share:.1%}" if share >= 0.01 else f"{share:.2%}"


def stage_names(answer: Answer, decoding: dict[str, Any]) -> list[str]:
    """Of every stage, short, with its setting."""
    names = {
        "raw": _("Model"), "special": _("No specials"), "repetition_penalty": _("Repetition"),
        "frequency_penalty": _("Frequency"), "presence_penalty": _("Presence"), "no_repeat_ngram": _("No repeats"),
        "temperature": _("Temperature"), "top_k": _("Top-k"), "top_p": _("Top-p"), "min_p": _("Min-p"),
    }  # fmt: skip
    stages = [stage["name"] for stage in answer["stages"]]
    return [
        names.get(name, name) + (f" {decoding[name]:g}" if decoding.get(name) is not None else "") for name in stages
    ]  # fmt: skip


def did(answer: Answer, number: int, decoding: dict[str, Any]) -> str:
    """What a stage did to the distribution before it, in one sentence."""
    stage = answer["stages"][number]
    name = stage["name"]
    if number == 0:
        words = _("the model's own chances for all {count} tokens of its vocabulary")
        return words.format(count=f"{stage['left']:,}")
    before = answer["stages"][number - 1]
    gone = before["left"] - stage["left"]
    if name == "special":
        words = _("takes out <unk> and <begin>, which are no text; they had {share}")
        return words.format(share=percent(stage["removed"]))
    if name == "temperature":
        if decoding.get("temperature", 1) < 1:
            words = _("bolder for the probable: {share} of the chance moves to them")
        else:
            words = _("more even: {share} of the chance moves to the less probable")
        return words.format(share=percent(stage["moved"]))
    if name.endswith("penalty"):
        words = {
            "repetition_penalty": _("makes what is in the prompt or the text less likely: {share} of the chance moves"),
            "frequency_penalty": _("takes from a token for each time it was written: {share} of the chance moves"),
            "presence_penalty": _("takes from every token that was written: {share} of the chance moves"),
        }[name]  # fmt: skip
        return words.format(share=percent(stage["moved"]))
    if not gone:
        return _("takes nothing out here: {count} tokens stay").format(count=f"{stage['left']:,}")
    words = _("keeps {left} of {before} tokens, which had {share}; {gone} is gone")
    if stage["left"] == 1:
        words = _("keeps one of {before} tokens, which had {share}; {gone} is gone")
    return words.format(
        left=f"{stage['left']:,}", before=f"{before['left']:,}", share=percent(1 - stage["removed"]),
        gone=percent(stage["removed"]),
    )  # fmt: skip


def alike(entropy: float) -> str:
    """Entropy, and of how many equally probable tokens it would be."""
    return _("{nats} nats, as unsure as between {count} equally likely tokens").format(
        nats=f"{entropy:.2f}", count=f"{math.exp(entropy):,.1f}"
    )


def finding(answer: Answer, chances: dict[int, list[float]]) -> str:
    """Which token, and its chance before and after the stages. chances: token -> one a stage."""
    drawn, place = answer["drawn"], answer["place"]
    taken = answer["path"][place] if place < len(answer["path"]) else None
    names = dict(zip(answer["ids"], answer["texts"], strict=True))
    greedy = answer["noise"] is None
    if taken and taken["token"] != drawn:
        words = _("“{token}” was taken, {share} likely; this seed draws “{drawn}”, {chance} likely")
        if greedy:
            words = _("“{token}” was taken, {share} likely; the likeliest is “{drawn}”, {chance} likely")
        return words.format(
            token=visible_token(taken["text"]), share=percent(chances[taken["token"]][-1]),
            drawn=visible_token(names[drawn]), chance=percent(chances[drawn][-1]),
        )  # fmt: skip
    if greedy:
        words = _("Next: “{token}”, the likeliest token, with {last} after all stages (the model: {raw})")
    elif answer["rank"] == 1:
        words = _("Drawn: “{token}”, chance {last} (the model: {raw}, its likeliest token)")
    else:
        words = _("Drawn: “{token}”, chance {last} (the model: {raw}, its number {rank})")
    return words.format(
        token=visible_token(names[drawn]), last=percent(chances[drawn][-1]), raw=percent(chances[drawn][0]),
        rank=f"{answer['rank']:,}",
    )  # fmt: skip


def draw_words(answer: Answer, chances: dict[int, list[float]], seed: int) -> str:
    """How the last column comes about."""
    drawn = answer["drawn"]
    names = dict(zip(answer["ids"], answer["texts"], strict=True))
    if answer["noise"] is None:
        return _(
            "Nothing is drawn: the likeliest token after the penalties is taken, whatever the seed."
        )  # fmt: skip
    return _(
        "A lottery: every token's chance is divided by a random number of its own (exponential, mean 1), and the"
        " largest result wins. A token with chance p wins with probability exactly p, so this is sampling. With seed"
        " {seed}, “{token}” was drawn; its chance was {chance}. The numbers belong to the seed and the place in the"
        " text: another branch meets the same luck."
    ).format(seed=seed, token=visible_token(names[drawn]), chance=percent(chances[drawn][-1]))  # fmt: skip
