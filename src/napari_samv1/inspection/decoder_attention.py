"""Attention of the mask decoder's tokens to the image, recomputed from queries and keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.predictor import Predictor
from napari_samv1.inspection.hooks import listening
from napari_samv1.model.mask_decoder import MASKS
from napari_samv1.model.mask_decoder.attention import Attention
from napari_samv1.model.mask_decoder.two_way_transformer import TwoWayLayer
from napari_samv1.records.prompts import FOREGROUND, Prompts

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DecoderAttention:
    """Attention of every token to the image in every layer.

    ``maps_lthyx`` is (layers, tokens, heads, h, w); each h x w sums to 1. ``layers`` and ``tokens`` name the
    first two axes: the last layer is the final look, from which masks and scores are made.
    """

    layers: tuple[str, ...]
    tokens: tuple[str, ...]
    maps_lthyx: Array = field(repr=False)


def decoder_attention(predictor: Predictor, embedding: Embedding, prompts: Prompts) -> DecoderAttention:
    """Decode as the panel does, and recompute the attention of each mask token and prompt token.

    If the prompts correct the answer to the first of them, the attention is that of the second decoding, by
    all prompts. The decoder computes in float32, and attends to the whole image whatever ``prompts.within``.
    """
    if predictor.model.decoder != "float32":
        predictor = Predictor(predictor.model.decoding_in("float32"))
    network = predictor.model.network
    transformer = network.mask_decoder.transformer
    inner = cast(list[TwoWayLayer], list(transformer.layers))
    looks = [layer.token_to_image for layer in inner] + [transformer.final_token_to_image]
    modules: dict[tuple[str, int], nn.Module] = {("query", i): look.query for i, look in enumerate(looks)}
    # each layer attends to the image tokens that the layer before it made
    modules |= {("image", i + 1): layer.norm_image for i, layer in enumerate(inner)}
    modules["hint", 0] = network.mask_decoder.mask_hint_encoder
    heard: dict[tuple[str, int], Tensor] = {}
    with listening(modules, heard.__setitem__):
        predictor.answer(embedding, prompts.attending(None))
    prepared = predictor.decoder_images.of(embedding)
    with torch.inference_mode():
        placed = [heard["image", i] + prepared.encoding_bnc for i in range(1, len(looks))]
        if ("hint", 0) in heard:
            hint_bnc = heard["hint", 0].flatten(2).transpose(1, 2)
            placed.insert(0, prepared.tokens_bnc + hint_bnc + prepared.encoding_bnc)
        else:
            placed.insert(0, prepared.placed_bnc)
        maps = [_looks(look, heard["query", i], placed[i]) for i, look in enumerate(looks)]
    height, width = prepared.grid_hw
    layers = [f"layer {i + 1}" for i in range(len(looks) - 1)]
    stacked = torch.stack(maps).unflatten(-1, (height, width)).cpu().numpy()
    return DecoderAttention((*layers, "final look"), decoder_tokens(prompts), stacked)


def decoder_tokens(prompts: Prompts) -> tuple[str, ...]:
    """Return the meaning of each token of the decoder, in its order."""
    names = ["IoU token", *(f"mask token {index}" for index in range(MASKS))]
    for number, label in enumerate(prompts.labels, start=1):
        names.append(f"point {number} ({'foreground' if label == FOREGROUND else 'background'})")
    if len(prompts.points_yx) and not len(prompts.boxes_yx):
        names.append("no further point")
    for number in range(1, len(prompts.boxes_yx) + 1):
        names += [f"box {number}, upper left", f"box {number}, lower right"]
    return tuple(names)


def _looks(attention: Attention, queries_bti: Tensor, placed_bnc: Tensor) -> Tensor:
    """softmax(q k / sqrt(d)): tokens heads N."""
    queries_thd, keys_nhd = (
        x[0].float().unflatten(1, (attention.heads, -1)) for x in (queries_bti, attention.key(placed_bnc))
    )
    logits = torch.einsum("thd,nhd->thn", queries_thd, keys_nhd) * queries_thd.shape[-1] ** -0.5
    return logits.softmax(-1)
