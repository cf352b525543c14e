"""Commands of text."""
