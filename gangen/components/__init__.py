"""The registry: what plugins bring, what it is called, and what can be told to it."""
