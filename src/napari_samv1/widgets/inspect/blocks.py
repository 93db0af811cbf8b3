"""View 2: the tokens after every block of the image encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_samv1.app.worker import Ticket
from napari_samv1.widgets.inspect.plot import Curve, PlotData
from napari_samv1.widgets.inspect.scene import Look, Memory, Scene, Seen
from napari_samv1.widgets.inspect.view import View

if TYPE_CHECKING:
    from napari_samv1.inspection import BlockNorms, Cells
    from napari_samv1.layers.inspection import Picture
    from napari_samv1.model import Sam

NORMS, CHANNELS, FINAL, COLOURS = range(4)
KINDS = ("norm after every block", "channels of one block", "channels of the result", "result as colours")


class BlocksView(View):
    title = "Block norms and channels"
    about = "Content of the tokens after every block, recorded during one encoding of the displayed image."
    live = True

    def __init__(self) -> None:
        super().__init__()
        self.kind = self.choice("Show", KINDS)
        self.block = self.whole("Block", 0, 31, 0)
        self.kind.currentIndexChanged.connect(self._follow_kind)
        self._follow_kind()

    def show_network(self, network: Sam) -> None:
        self.block.setMaximum(network.config.depth - 1)

    def look(self) -> Look:
        kind, block = self.kind.currentIndex(), self.block.value()

        def look(scene: Scene, memory: Memory, ticket: Ticket) -> Seen:
            if kind == NORMS:
                return _norms(_watched(scene, memory, ticket, None), scene)
            if kind == CHANNELS:
                return _channels(_watched(scene, memory, ticket, block), block)
            return _result(scene, memory, ticket, as_colours=kind == COLOURS)

        return look

    def _follow_kind(self) -> None:
        self.show_row(self.block, self.kind.currentIndex() == CHANNELS)


def _watched(scene: Scene, memory: Memory, ticket: Ticket, keep_block: int | None) -> BlockNorms:
    from napari_samv1.inspection import watch_blocks

    return memory.recall(
        ("blocks", scene.key, keep_block),
        lambda: watch_blocks(
            scene.predictor.model, scene.input(), keep_block=keep_block, on_progress=ticket.count
        ),
    )


def _norms(seen: BlockNorms, scene: Scene) -> Seen:
    from napari_samv1.inspection import Cells
    from napari_samv1.layers.inspection import Picture

    cells = Cells.of_tokens(seen.embedding.frame)
    rows, columns = cells.shape_yx
    norms = seen.norms_khw[:, :rows, :columns]
    low, high = norms.min(axis=(1, 2)), norms.max(axis=(1, 2))
    captions = tuple(
        f"block {block.index} ({block.kind}): {low[i]:.2f} to {high[i]:.2f}"
        for i, block in enumerate(seen.blocks)
    )
    # norms grow, so that the last block is brightest on the common scale
    picture = Picture("block norms", norms, cells, ("block",), captions, start=len(norms) - 1)
    global_ones = tuple(block.index for block in seen.blocks if block.is_global)
    x = np.arange(len(seen.blocks))
    plot = PlotData(
        "Norm of the tokens; dots: global blocks",
        "block",
        (Curve.through("highest", x, high, global_ones), Curve.through("lowest", x, low, global_ones)),
    )
    sentence = (
        f"The length of every token's vector after each of {len(seen.blocks)} blocks; the slider goes "
        f"through them. Blocks {_listed(global_ones)} see the whole grid, the others their own windows. A "
        "few very long tokens on empty background are common: the network keeps other information there."
    )
    return Seen(sentence, {"blocks": picture}, (plot,))


def _channels(seen: BlockNorms, index: int) -> Seen:
    from napari_samv1.inspection import Cells

    assert seen.kept_chw is not None
    cells = Cells.of_tokens(seen.embedding.frame)
    rows, columns = cells.shape_yx
    channels = seen.kept_chw[:, :rows, :columns]
    picture = _stack(f"channels of block {index}", channels, cells)
    sentence = (
        f"Block {index} ({seen.blocks[index].kind}): the slider goes through the {len(channels)} channels of "
        "its tokens, each stretched to its own range."
    )
    return Seen(sentence, {"channels": picture})


def _result(scene: Scene, memory: Memory, ticket: Ticket, *, as_colours: bool) -> Seen:
    from napari_samv1.inspection import Cells, image_channels, principal_colours
    from napari_samv1.layers.inspection import Picture

    embedding = scene.encoded(memory, ticket)
    cells = Cells.of_tokens(embedding.frame)
    rows, columns = cells.shape_yx
    channels = image_channels(embedding)[:, :rows, :columns]
    if as_colours:
        picture = Picture("result as colours", principal_colours(channels), cells, rgb=True)
        sentence = (
            f"The {len(channels)} channels that the mask decoder gets, as the three directions in which the "
            "tokens differ most: red, green, blue. Places of the same colour mean much the same to the "
            "network."
        )
        return Seen(sentence, {"colours": picture})
    picture = _stack("channels of the result", channels, cells)
    sentence = (
        f"Output of the image encoder for the mask decoder: the slider goes through its {len(channels)} "
        "channels, each stretched to its own range."
    )
    return Seen(sentence, {"result": picture})


def _stack(name: str, channels: np.ndarray[tuple[int, ...], np.dtype[np.float32]], cells: Cells) -> Picture:
    """Channels (C, h, w), each stretched to its own range, with a slider through them."""
    from napari_samv1.inspection import unit_range
    from napari_samv1.layers.inspection import Picture

    return Picture(name, unit_range(channels), cells, ("channel",), _ranges(channels), contrast=(0.0, 1.0))


def _ranges(channels: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> tuple[str, ...]:
    low, high = channels.min(axis=(1, 2)), channels.max(axis=(1, 2))
    return tuple(
        f"channel {index}: {a:.3f} to {b:.3f}" for index, (a, b) in enumerate(zip(low, high, strict=True))
    )


def _listed(numbers: tuple[int, ...]) -> str:
    *most, last = [str(number) for number in numbers]
    return f"{', '.join(most)} and {last}" if most else last
