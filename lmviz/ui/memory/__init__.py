"""The parts of the page Memory: what it shows, its words and its controls."""
