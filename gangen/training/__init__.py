"""The trainer, what it plays with, and what is done beside it."""
