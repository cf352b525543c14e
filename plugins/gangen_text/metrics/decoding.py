"""Settings of sampling that make texts better and less diverse."""

# Each goes through the model as it is: temperature 1, all of the probability, all tokens (0), the first text.
SWEEPS: dict[str, tuple[float, ...]] = {
    "temperature": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2),
    "top_p": (0.8, 0.9, 0.95, 1.0),
    "top_k": (20, 80, 0),
    "best_of": (4, 2, 1),
}
