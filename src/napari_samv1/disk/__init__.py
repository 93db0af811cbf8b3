"""Files written whole or not at all, and embeddings on disk: numpy and records only."""
