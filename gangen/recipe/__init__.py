"""Recipes: YAML with places, the sections of a recipe, and their checks."""
