"""What learning from preferences shows, while it goes on and at its end. No Streamlit."""

from collections.abc import Sequence
from typing import Any

from lmviz.ui.i18n import _

EDGE = 5
"""Updates at either end over which means are taken."""
WIDTH, HEIGHT = 600, 90


def finding(asks: dict[str, Any], updates: Sequence[dict[str, Any]]) -> str:
    kl = f"{updates[-1]['kl']:.1f}"
    if asks.get("pairs"):
        words = _("It tells {share} of the pairs of the last update apart, at KL {kl} nats a text")
        return words.format(share=f"{updates[-1]['accuracy']:.0%}", kl=kl)
    rewards = [one["reward"] for one in updates]
    edge = min(EDGE, len(rewards))
    return _("Mean reward from {first} to {last}, at KL {kl} nats a text").format(
        first=f"{sum(rewards[:edge]) / edge:.2f}", last=f"{sum(rewards[-edge:]) / edge:.2f}", kl=kl
    )


def live_html(updates: Sequence[dict[str, Any]], most: int) -> str:
    """Reward (or margin) and KL as lines that grow, with the newest numbers."""
    now = updates[-1]
    gained = "reward" if now["reward"] is not None else "margin"
    words = _("Update {number} of {most}: {what} {value}, KL {kl} nats a text").format(
        number=now["number"], most=most, what=_("reward") if gained == "reward" else _("margin"),
        value=f"{now[gained]:.3f}", kl=f"{now['kl']:.2f}",
    )  # fmt: skip
    lines = "".join(
        f'<polyline fill="none" stroke="{stroke}" stroke-width="2" points="{_points(values, most)}"/>'
        for values, stroke in (
            ([one[gained] for one in updates], "var(--st-primary-color)"),
            ([one["kl"] for one in updates], "var(--st-gray-text-color)"),
        )
    )
    return (
        f'<p>{words}</p><svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" height="{HEIGHT}" preserveAspectRatio="none"'
        f' role="img" aria-label="{words}">{lines}</svg>'
    )


def _points(values: Sequence[float], most: int) -> str:
    low, high = min(0.0, *values), max(1e-9, *values)
    return " ".join(
        f"{(place + 1) / most * WIDTH:.1f},{HEIGHT - 4 - (value - low) / (high - low) * (HEIGHT - 8):.1f}"
        for place, value in enumerate(values)
    )
