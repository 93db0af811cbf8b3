"""Logits -> masks: resize, threshold, choose, clean, score, paint into label images."""
