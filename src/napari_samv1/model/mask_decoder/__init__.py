"""Image tokens and prompts -> masks."""

from napari_samv1.model.mask_decoder.decoder import MASKS, MaskDecoder

__all__ = ["MASKS", "MaskDecoder"]
