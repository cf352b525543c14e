"""What metrics of the framework see text with."""
