"""The network: torch only; tensors in, tensors out."""

from napari_samv1.model.config import TINY, VIT_B, VIT_H, VIT_L, SamConfig
from napari_samv1.model.sam import Sam

__all__ = ["TINY", "VIT_B", "VIT_H", "VIT_L", "Sam", "SamConfig"]
