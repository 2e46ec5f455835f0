"""The page Gates."""
