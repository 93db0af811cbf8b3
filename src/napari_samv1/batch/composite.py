"""Channels of a file laid over each other, as the panel's "Model sees: visible channels" does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_samv1.batch.reading import OpenedImage, open_planes
from napari_samv1.batch.settings import ChannelSettings, SegmentSettings
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.plane_pixels import PlanePixels
from napari_samv1.images.displayed import displayed
from napari_samv1.images.limits import percentiles_of_plane
from napari_samv1.images.source import ReadError, Source
from napari_samv1.images.stacked import OnePlaneSource, StackedSource
from napari_samv1.records.display import Channel, Display
from napari_samv1.records.place import Plane, Region


@dataclass(frozen=True, eq=False)
class Composite:
    """A plane of an image, seen by its channels; reads nothing by itself."""

    image: OpenedImage
    plane: Plane
    channels: tuple[ChannelSettings, ...]

    @property
    def seen(self) -> tuple[Source, Plane]:
        """Source of all channels, and the plane in it."""
        if len(self.channels) == 1:
            return self.image.source, self._planes[0]
        sources = (OnePlaneSource(self.image.source, plane) for plane in self._planes)
        return StackedSource(tuple(sources)), Plane()

    def display(self) -> Display:
        """The numbers of the display; reads where limits are percentiles."""
        return Display(tuple(map(self._channel, self.channels, self._planes)))

    def for_model(self, model: LoadedModel) -> PlanePixels:
        """The plane for a model."""
        source, plane = self.seen
        return PlanePixels(model, source, plane, self.image.plane_hw, display=self.display)

    def pixels(self) -> NDArray[np.uint8]:
        """All of the plane as the model sees it: RGB (H, W, 3)."""
        source, plane = self.seen
        hw = self.image.plane_hw
        return displayed(source.read(Region(plane, (0, 0, *hw)), hw), self.display())

    @property
    def _planes(self) -> Sequence[Plane]:
        axis = self.image.calibrated.axes.find("C")
        index = self.plane.index
        return [
            self.plane if one.channel is None else Plane((*index[:axis], one.channel, *index[axis + 1 :]))
            for one in self.channels
        ]

    def _channel(self, one: ChannelSettings, plane: Plane) -> Channel:
        source = self.image.source
        low, high = one.limits or percentiles_of_plane(source, plane, one.percentiles)
        # tells planes of a stack apart: the source of several channels has but one
        name = f"{source.identity.sample} {plane.index}" if len(self.channels) > 1 else ""
        return Channel(low, high, one.gamma, one.paint, source.rgb, name)


def open_for(path: Path, settings: SegmentSettings) -> OpenedImage:
    """Open an image file and choose the planes that the settings mean; see ``open_planes``.

    Raises
    ------
    ReadError
        If it has no such channel or plane.
    """
    if not settings.composite:
        return open_planes(path, settings.channel, settings.plane)
    numbers = [one.channel for one in settings.composite if one.channel is not None]
    if not numbers:
        return open_planes(path, None, settings.plane)
    image = open_planes(path, max(numbers), settings.plane)
    if "C" not in image.calibrated.axes[:-2]:
        raise ReadError(f"{path} has no channel axis: its axes are {image.calibrated.axes}")
    return image
