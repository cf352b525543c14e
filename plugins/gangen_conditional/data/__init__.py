"""Data whose rows have something to start from."""
