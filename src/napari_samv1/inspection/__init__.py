"""Look inside the model: arrays out, no drawing.

Every function takes a network, a ``LoadedModel`` or a ``Predictor`` and returns numpy arrays whose axes are
in their names; ``Cells`` places their cells on the image. No function here changes a result of the model.

>>> from napari_samv1 import Predictor, Prompts, load_model
>>> from napari_samv1.inspection import model_input, watch_blocks
>>> model = load_model("tiny")
>>> seen = watch_blocks(model, model_input(model, image))
>>> seen.norms_khw.shape  # blocks, rows and columns of tokens
(8, 38, 48)
"""

from napari_samv1.engine.model_input import ModelInput, encode, model_input
from napari_samv1.inspection.attention import BlockAttention, TokenAttention, block_attention
from napari_samv1.inspection.blocks import (
    Block,
    BlockNorms,
    block_at,
    blocks_of,
    image_channels,
    principal_colours,
    watch_blocks,
)
from napari_samv1.inspection.cells import Cells
from napari_samv1.inspection.decoder_attention import DecoderAttention, decoder_attention, decoder_tokens
from napari_samv1.inspection.hooks import listening
from napari_samv1.inspection.positions import (
    RelativePositions,
    channel_norm,
    coordinate_features,
    position_grid,
    relative_positions,
    unit_range,
)
from napari_samv1.inspection.similarity import cosine_similarity, token_under, tokens_under
from napari_samv1.inspection.stability import (
    DownscaledMasks,
    masks_when_downscaled,
    stability_by_offset,
    stability_by_threshold,
    threshold_band,
    with_less_detail,
)
from napari_samv1.inspection.wand import magic_wand
from napari_samv1.inspection.windows import (
    TimedPrediction,
    mask_difference,
    overlap,
    predict_with_windows,
)

__all__ = [
    "Block",
    "BlockAttention",
    "BlockNorms",
    "Cells",
    "DecoderAttention",
    "DownscaledMasks",
    "ModelInput",
    "RelativePositions",
    "TimedPrediction",
    "TokenAttention",
    "block_at",
    "block_attention",
    "blocks_of",
    "channel_norm",
    "coordinate_features",
    "cosine_similarity",
    "decoder_attention",
    "decoder_tokens",
    "encode",
    "image_channels",
    "listening",
    "magic_wand",
    "mask_difference",
    "masks_when_downscaled",
    "model_input",
    "overlap",
    "position_grid",
    "predict_with_windows",
    "principal_colours",
    "relative_positions",
    "stability_by_offset",
    "stability_by_threshold",
    "threshold_band",
    "token_under",
    "tokens_under",
    "unit_range",
    "watch_blocks",
    "with_less_detail",
]
