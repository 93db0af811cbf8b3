"""A model whose masks are squares that can be counted by hand."""

from squares import embedding, squares

__all__ = ["embedding", "squares"]
