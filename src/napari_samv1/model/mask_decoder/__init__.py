"""Image tokens and prompts -> masks."""

from napari_samv1.model.mask_decoder.decoder import MASKS, Attended, DecoderImage, MaskDecoder

__all__ = ["MASKS", "Attended", "DecoderImage", "MaskDecoder"]
