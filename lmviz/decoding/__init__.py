"""From a model to text: logits processors and the generating loop. Nothing heavy is imported here."""
