"""Evaluation of a model: the score tables of the release, from images with labelled objects."""
