"""Synthetic scenes with labelled objects, the only images in the bundled model's training."""
