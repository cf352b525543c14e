"""Files to begin with: a plugin of one's own, a recipe of one's own."""
