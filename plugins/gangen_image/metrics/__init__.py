"""Measures of images and points that look at them as such."""
