"""Which unit tells a readable feature of the text from its absence, and how well?

A unit is judged by its AUC: the chance that it is higher at a token with the feature than at one without (0.5: it says
nothing, 1: it always is; below 0.5 it is the lower one, which says as much). It is chosen on the first half of the
held-out text and judged on the second. All units together are judged by a linear probe, a logistic regression that
learned on the first half (Alain and Bengio 2016).

A unit of a network that has learned nothing already sees the current character and echoes of those before, so both are
also measured before training, and the difference is the finding (as control tasks are for: Hewitt and Liang 2019). What
chance gives is measured too: features shifted against the states, so that their runs stay as long as they are.

Shapes: N tokens of a half, H units, S shifts.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FEW = 50
"""Tokens with and without a feature that each half must have."""
SHIFTS = 100
FAR = 500
"""Tokens that a feature is shifted by at least, where the text is long enough."""
BAND = (0.025, 0.975)
UNITS_AT_ONCE = 32
"""Units that are ranked at once."""
PROBE_TOKENS = 8192
"""Of the first half that a probe learns from, evenly spread."""

States = NDArray[np.float32]
Flags = NDArray[np.bool_]


class Half(NamedTuple):
    """One signal over half of the text."""

    values: States
    """(N, H)."""
    ranks: States
    """Of each unit's values, 1 is the lowest, equal ones share theirs (N, H). Exact: halves, far below 2**24."""


def half(values: States) -> Half:
    """values (N, H)."""
    from scipy.stats import rankdata  # takes a moment to import

    ranks = np.empty(values.shape, np.float32)
    for start in range(0, values.shape[1], UNITS_AT_ONCE):  # ranking takes several times the memory of its result
        some = slice(start, start + UNITS_AT_ONCE)
        ranks[:, some] = rankdata(values[:, some], axis=0)
    return Half(values, ranks)


def aucs(ranks: NDArray[np.floating[Any]], flags: NDArray[Any]) -> NDArray[np.float64]:
    """Of every unit by ranks (Mann and Whitney 1947): ranks (N, H), flags (N,) or (N, S) -> (H,) or (H, S)."""
    yes = flags.sum(0)
    no = len(flags) - yes
    return np.asarray((ranks.T @ flags.astype(np.float64) - yes * (yes + 1) / 2) / (yes * no))


def too_few(first: Flags, second: Flags) -> bool:
    """Whether a half has hardly any token with the feature, or hardly any without."""
    return any(not FEW <= int(flags.sum()) <= len(flags) - FEW for flags in (first, second))


class Best(NamedTuple):
    unit: int
    direction: int
    """1: high with the feature; -1: low."""
    auc: float
    """On the second half, with the direction of the first."""


def best_unit(first: NDArray[np.float64], second: NDArray[np.float64]) -> Best:
    """From the AUC of every unit (H,) on both halves."""
    unit = int(np.abs(first - 0.5).argmax())
    direction = 1 if first[unit] >= 0.5 else -1
    return Best(unit, direction, 0.5 + direction * (float(second[unit]) - 0.5))


def chance_band(first: Half, second: Half, flags: tuple[Flags, Flags], seed: int = 0) -> tuple[float, float]:
    """Between which values about 95 % of the best units' AUC lie if the feature has nothing to do with the states."""
    random = np.random.default_rng(seed)
    shifted = [_shifted(one, random) for one in flags]
    chosen, judged = (aucs(one.ranks, moved) for one, moved in zip((first, second), shifted, strict=True))  # (H, S)
    units = np.abs(chosen - 0.5).argmax(0)
    each = np.arange(SHIFTS)
    found = 0.5 + np.sign(chosen[units, each] - 0.5) * (judged[units, each] - 0.5)
    low, high = np.quantile(found, BAND)
    return float(low), float(high)


def _shifted(flags: Flags, random: np.random.Generator) -> NDArray[np.bool_]:
    """The same flags (N,), moved on in a circle by SHIFTS distances: (N, S)."""
    far = min(FAR, len(flags) // 3)
    room = len(flags) - 2 * far
    distances = far + random.choice(room, SHIFTS, replace=room < SHIFTS)
    return np.stack([np.roll(flags, by) for by in distances], 1)


def probe(first: States, second: States, flags: tuple[Flags, Flags]) -> float:
    """AUC on the second half of a logistic regression on all units that learned on the first."""
    from sklearn.linear_model import LogisticRegression

    some = np.unique(np.linspace(0, len(first) - 1, PROBE_TOKENS).astype(np.int64))
    if not 0 < flags[0][some].sum() < len(some):  # a rare feature that falls between them
        some = np.arange(len(first))
    mean, deviation = first[some].mean(0), first[some].std(0)
    scale = np.where(deviation > 0, deviation, 1)
    learn, judge = ((values - mean) / scale for values in (first[some], second))
    model = LogisticRegression(solver="newton-cholesky").fit(learn.astype(np.float64), flags[0][some])
    from scipy.stats import rankdata

    return float(aucs(rankdata(model.decision_function(judge))[:, None], flags[1])[0])


def rank_correlation(half: Half, grades: NDArray[np.int64]) -> NDArray[np.float64]:
    """Spearman's, of every unit (H,) with numbers (N,)."""
    from scipy.stats import rankdata

    ranks, others = half.ranks - half.ranks.mean(0, dtype=np.float64), rankdata(grades)
    others -= others.mean()
    norms = np.linalg.norm(ranks, axis=0) * np.linalg.norm(others)
    return np.asarray(np.divide(ranks.T @ others, norms, out=np.zeros_like(norms), where=norms > 0))


def feature_rows(
    now: tuple[Half, Half], before: tuple[Half, Half], flags: dict[str, Flags], grades: dict[str, NDArray[np.int64]]
) -> Iterator[dict[str, Any] | None]:
    """Of both halves of one signal, now and before training, and features at all their tokens: a row for each, and None
    between, where others can have their turn.

    {"feature", "share" of tokens that have it}, and unless it is "too_few": {"unit", "direction", "auc", "probe",
    "floor_unit", "floor_auc", "floor_probe": the same before training, "band": what chance gives, "aucs": of every unit
    on the second half (H,), "correlation": the rank correlation of the unit that fits its grade best, with its unit}.
    """
    middle = len(now[0].values)
    for name, flag in flags.items():
        row: dict[str, Any] = {"feature": name, "share": float(flag.mean()), "tokens": int(flag.sum())}
        both = (flag[:middle], flag[middle:])
        if too_few(*both):
            yield {**row, "too_few": True}
            continue
        for prefix, (first, second) in (("", now), ("floor_", before)):
            on_first, on_second = aucs(first.ranks, both[0]), aucs(second.ranks, both[1])
            best = best_unit(on_first, on_second)
            row |= {f"{prefix}unit": best.unit, f"{prefix}auc": best.auc}
            row[f"{prefix}probe"] = probe(first.values, second.values, both)
            if not prefix:
                row |= {"direction": best.direction, "aucs": on_second}
            yield None
        row["band"] = chance_band(*now, both)
        if name in grades:
            grade = grades[name]
            chosen = int(np.abs(rank_correlation(now[0], grade[:middle])).argmax())
            judged = rank_correlation(now[1], grade[middle:])[chosen]
            row["correlation"] = {"unit": chosen, "value": float(judged)}
        yield {**row, "too_few": False}
