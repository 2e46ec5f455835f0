"""What there is to say of a collection of pairs: for the command line and for pages. No torch."""

from typing import Any

from lmviz.corpora.pairs import list_pairs, pair_set

SHOWN = 8
"""Examples."""


def pair_facts(name: str) -> dict[str, Any]:
    """{"name", "title", "pairs" (for training), "held_out", "source_characters", "target_characters", "examples"}.

    Raises:
        CorpusError: there are no such pairs.
    """
    pairs = pair_set(name)
    titles = {row.name: row.title for row in list_pairs()}
    examples = [pairs.test(i) for i in range(min(SHOWN, pairs.test_size))]
    return {
        "name": name, "title": titles.get(name, name), "pairs": pairs.train_size, "held_out": pairs.test_size,
        "source_characters": len(pairs.source_symbols), "target_characters": len(pairs.target_symbols),
        "examples": [[pair.source, pair.target] for pair in examples],
    }  # fmt: skip
