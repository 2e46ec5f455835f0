"""How well outputs fit the targets of pairs. Only texts, no models and no torch.

Paper: Papineni et al. 2002, BLEU: a method for automatic evaluation of machine translation; Post 2018, A call for
clarity in reporting BLEU scores (sacrebleu, which computes it here).
"""

from collections.abc import Sequence

import numpy as np


def exact_match(outputs: Sequence[str], targets: Sequence[str]) -> float:
    """Share of outputs that are the target, character for character: 0 to 1.

    Raises:
        ValueError: there are none, or not as many outputs as targets.
    """
    _check(outputs, targets)
    return sum(output == target for output, target in zip(outputs, targets, strict=True)) / len(targets)


def character_error_rate(outputs: Sequence[str], targets: Sequence[str]) -> float:
    """Characters to insert, delete or replace in all outputs, per character of all targets. It may exceed 1.

    Raises:
        ValueError: there are none, not as many outputs as targets, or no target has a character.
    """
    _check(outputs, targets)
    characters = sum(map(len, targets))
    if not characters:
        raise ValueError("all targets are empty")
    return sum(edit_distance(output, target) for output, target in zip(outputs, targets, strict=True)) / characters


def edit_distance(output: str, target: str) -> int:
    """Levenshtein's: the fewest insertions, deletions and replacements of a character that make one the other."""
    if output == target:
        return 0
    letters = np.array([ord(character) for character in target], dtype=np.int64)
    places = np.arange(len(target) + 1)
    row = places  # from no output to the first characters of the target
    for character in output:
        best = row + 1  # without this character
        best[1:] = np.minimum(best[1:], row[:-1] + (letters != ord(character)))
        # the rest of the target inserted after any place: the least of best[k] + (j - k) for k <= j
        row = np.minimum.accumulate(best - places) + places
    return int(row[-1])


def bleu(outputs: Sequence[str], targets: Sequence[str], chinese: bool) -> float:
    """BLEU of the whole, 0 to 100, by sacrebleu: of characters for Chinese, else of words as its 13a cuts them.

    Raises:
        ValueError: there are none, or not as many outputs as targets.
    """
    from sacrebleu import corpus_bleu  # loads lxml and more, which nothing else needs

    _check(outputs, targets)
    return float(corpus_bleu(list(outputs), [list(targets)], tokenize="char" if chinese else "13a").score)


def _check(outputs: Sequence[str], targets: Sequence[str]) -> None:
    if not targets or len(outputs) != len(targets):
        raise ValueError(f"{len(outputs)} outputs cannot be compared with {len(targets)} targets")
