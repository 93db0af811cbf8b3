"""A model whose masks can be counted by hand."""

from squares import embedding, squares

__all__ = ["embedding", "squares"]
