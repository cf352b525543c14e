"""A trained model over HTTP: JSON, files, and a page to try prompts."""
