"""Looking inside a run: what a model makes of a text. Nothing heavy is imported here."""
