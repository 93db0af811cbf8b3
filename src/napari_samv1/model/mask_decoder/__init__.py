"""Image tokens and prompts -> masks."""

from napari_samv1.model.mask_decoder.decoder import MASKS, DecoderImage, MaskDecoder

__all__ = ["MASKS", "DecoderImage", "MaskDecoder"]
