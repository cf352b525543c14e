"""What happens beside training, a file for each."""
