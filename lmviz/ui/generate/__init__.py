"""The page Generate: one file a part."""
