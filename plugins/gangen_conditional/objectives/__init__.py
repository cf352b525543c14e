"""Games with more than two players, or with structured conditions; one file each."""
