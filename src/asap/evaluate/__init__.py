"""Evaluation: a model writes attempts, the sandbox judges them, and the figures come with what they can and cannot show."""
