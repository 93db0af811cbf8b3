"""Files that are whole or not there, and embeddings kept in them: numpy and records only."""
