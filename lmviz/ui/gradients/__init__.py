"""The parts of the page Gradients: what each shows, its words and its controls."""
