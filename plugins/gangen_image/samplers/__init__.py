"""How images are sampled, beyond what a generator draws by itself."""
