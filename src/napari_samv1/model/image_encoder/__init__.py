"""Pixels -> image tokens."""

from napari_samv1.model.image_encoder.encoder import ImageEncoder

__all__ = ["ImageEncoder"]
