"""Texts for tests, made by rule."""

import random

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "saw", "dog", "run", "far", "away", "from", "home")


def prose(characters: int = 6000, seed: int = 0) -> str:
    """Sentences of a few words, always the same for a seed."""
    generator = random.Random(seed)
    text = ""
    while len(text) < characters:
        words = [generator.choice(WORDS) for _ in range(generator.randint(3, 8))]
        text += " ".join(words).capitalize() + ".\n"
    return text
