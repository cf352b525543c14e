"""How good what was made from something is."""
