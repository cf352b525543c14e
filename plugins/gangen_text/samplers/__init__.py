"""How texts are sampled, beyond what a generator writes by itself."""
