"""Games: their turns, and what belongs to these."""
