"""What there is to read: the pages of the documentation, and those that are made of signatures."""
