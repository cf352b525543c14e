"""How the games are sampled from."""
