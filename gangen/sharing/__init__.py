"""A trained model for others: as a folder with a card, and on the hub."""
