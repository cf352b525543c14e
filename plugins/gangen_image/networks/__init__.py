"""Generators and discriminators, and the layers that they share."""
