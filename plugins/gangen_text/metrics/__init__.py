"""Measures of text that look at it as text."""
