"""Synthetic scenes with known objects: the bundled model has seen nothing else."""
