"""What the part "Find meaning" says of its numbers. A row is one of `lmviz.inspect.meaning.feature_rows`."""

from collections.abc import Mapping, Sequence
from typing import Any

from lmviz.inspect.features import FEATURES
from lmviz.ui.i18n import _, listed

Row = Mapping[str, Any]

CLEAR = 0.1
"""Gain of AUC through training that is called a finding."""


def title(row: Row) -> str:
    return _(FEATURES[row["feature"]].title)


def gain(row: Row) -> float:
    """Of the best unit over the best unit before training."""
    return float(row["auc"] - row["floor_auc"])


def beats_chance(row: Row) -> bool:
    return bool(row["auc"] > row["band"][1])


def finding(rows: Sequence[Row]) -> str:
    """The largest gain that is above what chance gives, or that there is none."""
    best = next((row for row in sorted(rows, key=gain, reverse=True) if beats_chance(row) and gain(row) >= CLEAR), None)
    if best is None:
        return _("No unit tells a feature clearly better than the best unit of the untrained network")
    return _("Unit {unit} knows “{feature}”: AUC {auc}, before training the best unit had {floor}").format(
        unit=best["unit"], feature=title(best), auc=f"{best['auc']:.2f}", floor=f"{best['floor_auc']:.2f}"
    )


def caption(tokens: int, signal: str) -> str:
    return _(
        "{signal} on {tokens} tokens of held-out text. AUC: the chance that a unit is higher at a token with the"
        " feature than at one without (or lower, if that is how it tells); 0.5 says nothing, 1 is perfect. The unit is"
        " chosen, and the probe (a logistic regression on all units) learns, on the first half; both are judged on the"
        " second. A network that has learned nothing already sees the current character and echoes of those before, so"
        " what counts is the difference. Click on a row to choose it."
    ).format(signal=signal, tokens=f"{tokens:,}")


def missing(rows: Sequence[Row]) -> str:
    return _("Not measured, as the held-out text has hardly any token with or without: {features}.").format(
        features=listed([title(row) for row in rows])
    )


def too_rare(row: Row, tokens: int) -> str:
    """Of a feature with numbers here, but not at every moment of the training, which is measured on fewer tokens."""
    return _(
        "“{feature}” cannot be followed: among the {tokens} tokens that are measured at every moment, hardly any have"
        " it, or hardly any lack it."
    ).format(feature=title(row), tokens=f"{tokens:,}")


def correlation(row: Row) -> str:
    """How well its best unit follows how much of it there is."""
    found = row.get("correlation")
    if not found:
        return ""
    return _("{value} (unit {unit})").format(value=f"{found['value']:+.2f}", unit=found["unit"])


def appearance(row: Row, moments: Sequence[Mapping[str, Any]]) -> str:
    """Since when the unit that is best at the end is more than half-way from the floor to where it ends; a question
    where nothing is known yet at the moment of the row, or no more at the end.
    """
    courses = [(moment["step"], moment["features"].get(row["feature"])) for moment in moments]
    known = [(step, course) for step, course in courses if course]
    if not known or min(gain(row), known[-1][1]["followed"] - row["floor_auc"]) < CLEAR:
        return _("When did it learn to tell “{feature}”?").format(feature=title(row))
    end = known[-1][1]
    half = (row["floor_auc"] + end["followed"]) / 2
    since = known[-1][0]
    for step, course in reversed(known):
        if course["followed"] < half:
            break
        since = step
    return _("Unit {unit} has known “{feature}” since {step} updates").format(
        unit=end["unit"], feature=title(row), step=f"{since:,}"
    )
