"""View 5: attention of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_samv1.app.worker import Ticket
from napari_samv1.widgets.inspect.scene import Look, Memory, Scene, Seen
from napari_samv1.widgets.inspect.view import View

if TYPE_CHECKING:
    from napari_samv1.inspection import BlockAttention
    from napari_samv1.model import Sam
    from napari_samv1.records.frame import Frame

ENCODER, DECODER = range(2)
KINDS = ("image encoder", "mask decoder")


class AttentionView(View):
    title = "Attention"
    about = (
        "Attention of the token under your newest point in a block of the image encoder, or of the mask "
        "decoder's tokens."
    )
    needs_prompts = True
    live = True

    def __init__(self) -> None:
        super().__init__()
        self.kind = self.choice("Of the", KINDS)
        self.block = self.whole("Block", 0, 31, 1)
        self.layer = self.choice("Layer", ("1", "2", "final look"))
        self.layer.setCurrentIndex(2)
        self.kind.currentIndexChanged.connect(self._follow_kind)
        self._follow_kind()

    def show_network(self, network: Sam) -> None:
        config = network.config
        self.block.setMaximum(config.depth - 1)

    def look(self) -> Look:
        kind, block, layer = self.kind.currentIndex(), self.block.value(), self.layer.currentIndex()

        def look(scene: Scene, memory: Memory, ticket: Ticket) -> Seen:
            if kind == ENCODER:
                return _in_encoder(scene, memory, ticket, block)
            return _in_decoder(scene, memory, ticket, layer)

        return look

    def _follow_kind(self) -> None:
        in_encoder = self.kind.currentIndex() == ENCODER
        self.show_row(self.block, in_encoder)
        self.show_row(self.layer, not in_encoder)


def _in_encoder(scene: Scene, memory: Memory, ticket: Ticket, index: int) -> Seen:
    from napari_samv1.inspection import Cells, block_attention
    from napari_samv1.layers.inspection import Picture

    def listen() -> tuple[Frame, BlockAttention]:
        seen_input = scene.input()
        model = scene.predictor.model
        return seen_input.frame, block_attention(model, seen_input, index, on_progress=ticket.count)

    frame, attention = memory.recall(("attention", scene.key, index), listen)
    cells = Cells.of_tokens(frame)
    token_yx = cells.containing(scene.focus_yx)
    seen = attention.of_token(token_yx)
    stack = np.concatenate([seen.maps_hyx.mean(axis=0, keepdims=True), seen.maps_hyx])
    shares = [f"head {number}" for number in range(1, len(stack))]
    picture = Picture(
        "attention",
        stack,
        cells,
        ("head",),
        ("mean of all heads", *shares),
        # a percentile, because a few tokens take nearly all: the rest would be black
        contrast=(0.0, float(np.percentile(stack[stack > 0], 99.5))),
        colormap="magma",
    )
    _, _, height, width = seen.window_yxhw
    reach = (
        "This block is global: the token may look anywhere."
        if attention.block.is_global
        else f"This block is windowed: the token sees only the {height} x {width} tokens of its window."
    )
    sentence = (
        f"Attention of the token under your newest point (row {token_yx[0]}, column {token_yx[1]} of the "
        f"grid) in block {index}; bright is much. {reach} The slider: 0 is the mean of all heads, then each "
        "head."
    )
    return Seen(sentence, {"attention": picture})


def _in_decoder(scene: Scene, memory: Memory, ticket: Ticket, layer: int) -> Seen:
    from napari_samv1.inspection import Cells, decoder_attention
    from napari_samv1.layers.inspection import Picture

    assert scene.prompts is not None
    embedding = scene.encoded(memory, ticket)
    seen = decoder_attention(scene.predictor, embedding, scene.prompts)
    layer = min(layer, len(seen.layers) - 1)
    cells = Cells.of_tokens(embedding.frame)
    rows, columns = cells.shape_yx
    maps = seen.maps_lthyx[layer, ..., :rows, :columns]
    stack = np.concatenate([maps.mean(axis=1, keepdims=True), maps], axis=1)
    picture = Picture(
        "decoder attention",
        stack,
        cells,
        ("token", "head"),
        seen.tokens,
        # a percentile, because a few tokens take nearly all: the rest would be black
        contrast=(0.0, float(np.percentile(stack[:, 0], 99.5)) or 1.0),
        colormap="magma",
        start=1,
    )
    sentence = (
        f"Attention of the mask decoder's {len(seen.tokens)} tokens to the image in its "
        f"{seen.layers[layer]}; bright is much. First slider: the token (one for the scores, four for the "
        "masks, then your prompts). Second slider: 0 is the mean of all heads, then each head."
    )
    return Seen(sentence, {"decoder attention": picture})
