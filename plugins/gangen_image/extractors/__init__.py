"""What metrics of the framework see images with."""
