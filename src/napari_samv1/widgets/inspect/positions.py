"""View 1: position encodings, which the network adds to tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_samv1.app.worker import Ticket
from napari_samv1.widgets.inspect.plot import Curve, PlotData
from napari_samv1.widgets.inspect.scene import Look, Memory, Scene, Seen
from napari_samv1.widgets.inspect.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samv1.inspection import Cells
    from napari_samv1.model import Sam

LEARNED, NORM, RELATIVE, COORDINATES = range(4)
KINDS = ("learned grid", "norm of the learned grid", "relative positions", "coordinate features")


class PositionsView(View):
    title = "Position encodings"
    about = "Numbers that the network adds to every token to mark its position. No image is needed."
    needs_image = False
    live = True

    def __init__(self) -> None:
        super().__init__()
        self.kind = self.choice("Show", KINDS)
        self.height_spin = self.whole("Rows", 2, 128, 64, "Height of the token grid")
        self.width_spin = self.whole("Columns", 2, 128, 64, "Width of the token grid")
        self.block = self.whole("Block", 0, 31, 0, "The block whose table is shown")
        self.kind.currentIndexChanged.connect(self._follow_kind)
        self._follow_kind()

    def show_network(self, network: Sam) -> None:
        self.block.setMaximum(network.config.depth - 1)
        # begin with the grid as it was learned
        self.height_spin.setValue(network.config.grid)
        self.width_spin.setValue(network.config.grid)

    def look(self) -> Look:
        kind, block = self.kind.currentIndex(), self.block.value()
        grid_hw = self.height_spin.value(), self.width_spin.value()

        def look(scene: Scene, _memory: Memory, _ticket: Ticket) -> Seen:
            if kind == RELATIVE:
                return _relative(scene, block, grid_hw)
            return _grid(scene, kind, grid_hw)

        return look

    def _follow_kind(self) -> None:
        self.show_row(self.block, self.kind.currentIndex() == RELATIVE)


def _grid(scene: Scene, kind: int, grid_hw: tuple[int, int]) -> Seen:
    from napari_samv1.inspection import channel_norm, coordinate_features, position_grid, unit_range
    from napari_samv1.layers.inspection import Picture

    network, cells = scene.predictor.model.network, _cells(scene, grid_hw)
    learned = network.config.grid
    size = f"{grid_hw[0]} x {grid_hw[1]}"
    if kind == NORM:
        norm = channel_norm(position_grid(network, grid_hw))
        sentence = (
            f"Strength of the encoding at each of {size} places, over all channels: "
            f"{norm.min():.2f} to {norm.max():.2f}. Usually the rim stands out, as nothing lies beyond it."
        )
        return Seen(sentence, {"positions": Picture("position norm", norm, cells)})
    if kind == COORDINATES:
        features = coordinate_features(network, grid_hw)
        name = "coordinate feature"
        sentence = (
            f"The position features of the mask decoder, at {size} tokens: {len(features)} waves of random "
            "direction and length, the first half sines, the second half cosines. Clicks and box corners "
            "are encoded by the same waves, so that they match places on the image."
        )
    else:
        features = position_grid(network, grid_hw)
        name = "position encoding"
        origin = (
            "exactly as it was learned"
            if grid_hw == (learned, learned)
            else f"interpolated from the {learned} x {learned} learned positions"
        )
        sentence = (
            f"The learned position encoding on {size} tokens, {origin}. The slider goes through its "
            f"{len(features)} channels; each is stretched to its own range."
        )
    low, high = features.min(axis=(1, 2)), features.max(axis=(1, 2))
    captions = tuple(
        f"channel {index}: {a:.3f} to {b:.3f}" for index, (a, b) in enumerate(zip(low, high, strict=True))
    )
    stack = unit_range(features)
    picture = Picture(name, stack, cells, ("channel",), captions, contrast=(0.0, 1.0))
    return Seen(sentence, {"positions": picture})


def _relative(scene: Scene, block: int, grid_hw: tuple[int, int]) -> Seen:
    from napari_samv1.inspection import blocks_of, relative_positions
    from napari_samv1.layers.inspection import Picture

    network = scene.predictor.model.network
    chosen = blocks_of(network)[block]
    if chosen.is_global:
        height_od = relative_positions(network, block, grid_hw[0]).height_od
        width_od = relative_positions(network, block, grid_hw[1]).width_od
    else:
        learned = relative_positions(network, block)
        height_od, width_od = learned.height_od, learned.width_od
    pictures = {
        name: Picture(
            name,
            table,
            _cells(scene, (table.shape[0], table.shape[1])),
            contrast=_symmetric(table),
            colormap="PiYG",
            visible=name == "relative, height",
        )
        for name, table in (("relative, height", height_od), ("relative, width", width_od))
    }
    curves = tuple(
        Curve.through(name, np.arange(len(table)) - len(table) // 2, np.linalg.norm(table, axis=1))
        for name, table in (("height", height_od), ("width", width_od))
    )
    sentence = (
        f"Block {block} ({chosen.kind}): one row for each distance between two tokens along an axis, one "
        f"column for each of {height_od.shape[1]} channels of a head; a table, not a place on the image. The "
        "product of a query and the row of its distance to a key is added to its attention to that key. "
        "The curves are the length of each row."
    )
    return Seen(sentence, pictures, (PlotData("Length of each row", "query minus key, tokens", curves),))


def _cells(scene: Scene, grid_hw: tuple[int, int]) -> Cells:
    from napari_samv1.inspection import Cells

    if scene.plane is None:
        return Cells.of_pixels(grid_hw)
    return Cells.spanning(scene.shape_yx, grid_hw)


def _symmetric(table: NDArray[np.float32]) -> tuple[float, float]:
    largest = float(np.abs(table).max()) or 1.0
    return -largest, largest
