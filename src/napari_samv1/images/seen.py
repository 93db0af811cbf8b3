"""Images of a plane for the model: one or several, between limits that become numbers in a worker."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_samv1.images.displayed import displayed
from napari_samv1.images.intensity import Intensity, limits_of
from napari_samv1.images.projected import projected
from napari_samv1.images.source import ArraySource, Source
from napari_samv1.images.stacked import StackedSource
from napari_samv1.records.display import PLAIN, Channel, Display, Paint, Projection
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.sight import AS_DISPLAYED, Sight

Limits = tuple[float, float]


@dataclass(frozen=True, eq=False)
class SeenPixels:
    """Pixels, intensity and gamma as ``Predictor.embed`` takes them.

    Of channels that were composed, ``pixels`` are the 8-bit RGB that ``display`` made. ``hashes`` are those
    of all planes that were read, by their keys.
    """

    pixels: NDArray[Any] = field(repr=False)
    intensity: Intensity
    gamma: float
    display: Display | None = None
    hashes: Mapping[Hashable, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SeenImage:
    """One image as it is displayed: ``intensity`` is between which limits, ``paint`` in which colours.

    ``key`` tells its plane from others, ``image`` and ``revision`` its data. ``pixels_hash`` reads the plane
    and hashes it. With a ``projection``, slices around the plane are seen with it.
    """

    key: Hashable
    image: Hashable
    revision: int
    name: str
    pixels_hash: Callable[[], str] = field(repr=False)
    source: ArraySource = field(repr=False)
    intensity: Limits | Literal["dtype"] | None
    gamma: float
    paint: Paint = PLAIN
    projection: Projection | None = None

    def __str__(self) -> str:
        return self.name if self.projection is None else f"{self.name} ({self.projection})"

    @property
    def projected(self) -> ArraySource:
        """The pixels that are seen: those of ``source``, or projected."""
        return projected(self.source, self.projection)


@dataclass(frozen=True, eq=False)
class Seen:
    """Images of which a model is to see a plane, the lowest first, and by which limits.

    ``is_alone`` says that there is but the annotated image. ``found`` are limits that were found in pixels so
    far; several of these records share it.
    """

    plane: Plane
    shape_yx: tuple[int, int]
    images: tuple[SeenImage, ...]
    is_alone: bool = True
    sight: Sight = AS_DISPLAYED
    found: dict[Hashable, Limits] = field(default_factory=dict, repr=False)

    # Known without a read

    @property
    def key(self) -> Hashable:
        """All that an encoding depends on."""
        return tuple(
            (one.key, one.revision, self._rule(one), one.gamma, one.paint, one.projection)
            for one in self.images
        )

    @property
    def made_of(self) -> dict[str, Hashable]:
        """Return the channels and slices of an encoding, in words for a person."""
        return {
            "channels": tuple(one.key for one in self.images),
            "slices": tuple(one.projection for one in self.images),
        }

    @property
    def limits(self) -> tuple[tuple[str, Limits | None], ...]:
        """The images and their limits, None where those are not found yet."""
        return tuple((str(one), self._known(one)) for one in self.images)

    @property
    def is_as_displayed(self) -> bool:
        """The image alone, between its contrast limits, in grey."""
        first = self.images[0]
        return (
            self.is_alone
            and self.sight.limits == "displayed"
            and (first.paint, first.projection) == (PLAIN, None)
        )

    @property
    def source(self) -> Source:
        """The pixels of the image, or of all images as channels of one."""
        if self.is_alone:
            return self.images[0].projected
        return StackedSource(tuple(one.projected for one in self.images))

    def glimpse(self, rows: ArrayLike, columns: ArrayLike) -> NDArray[np.uint8] | None:
        """Some rows and columns as a model sees them, RGB (R, C, 3); None where that means a read."""
        limits = [known for _, known in self.limits if known is not None]
        if len(limits) < len(self.images) or not all(one.source.in_memory for one in self.images):
            return None
        places = [np.asarray(own) for own in (rows, columns)]
        (top, left), (bottom, right) = ([int(edge(own)) for own in places] for edge in (np.min, np.max))
        hw = bottom - top + 1, right - left + 1
        pixels = self.source.read(Region(self.plane, (top, left, *hw)), hw)
        cut = pixels[np.ix_(places[0] - top, places[1] - left)]
        return displayed(np.nan_to_num(cut) if cut.dtype.kind == "f" else cut, self._display(limits))

    # In a worker

    def pixels(self) -> SeenPixels:
        """The plane's pixels by the numbers of the display. Reads; call it in a worker."""
        hashes = self.hashes()
        display = self._found_display(hashes)
        pixels = self.source.read(Region(self.plane, (0, 0, *self.shape_yx)), self.shape_yx)
        if display.is_single:
            (channel,) = display.channels
            return SeenPixels(pixels, (channel.low, channel.high), channel.gamma, hashes=hashes)
        return SeenPixels(displayed(pixels, display), None, 1.0, display, hashes)

    def display(self) -> Display:
        """The numbers of the display; finds limits in pixels: call it in a worker."""
        return self._found_display({} if self.is_alone else self.hashes())

    def hashes(self) -> dict[Hashable, str]:
        """Hashes of the planes of all images, by their keys. Reads; call it in a worker."""
        return {one.key: one.pixels_hash() for one in self.images}

    def _found_display(self, hashes: Mapping[Hashable, str]) -> Display:
        own = () if self.is_alone else hashes.values()
        return self._display([self._limits(one) for one in self.images], *own)

    def _display(self, limits: Sequence[Limits], *hashes: str) -> Display:
        own = hashes if len(hashes) == len(self.images) else [""] * len(self.images)
        return Display(
            tuple(
                Channel(low, high, one.gamma, one.paint, one.source.rgb, pixels, one.projection)
                for one, (low, high), pixels in zip(self.images, limits, own, strict=True)
            )
        )

    # Limits

    def _rule(self, image: SeenImage) -> Hashable:
        """Return the settings on which an image's limits depend, beside its data."""
        if self.sight.limits == "displayed":
            return image.intensity
        if self.sight.limits == "fixed":
            return self.sight.fixed
        return self.sight.limits, self.sight.percentiles

    def _found_at(self, image: SeenImage) -> Hashable:
        place = self.plane if self.sight.limits == "plane" else self.plane.axes
        return image.image, place, image.revision, image.projection, self._rule(image)

    def _known(self, image: SeenImage) -> Limits | None:
        if self.sight.limits == "displayed":
            return limits_of(np.zeros((1, 1), image.source.dtype), image.intensity)
        return self.sight.fixed if self.sight.limits == "fixed" else self.found.get(self._found_at(image))

    def _limits(self, image: SeenImage) -> Limits:
        known = self._known(image)
        is_found = self.sight.limits in ("plane", "stack")
        # what is at hand may have been changed in place, of which napari says nothing
        if known is not None and not (is_found and image.source.in_memory):
            return known
        # brings torch, which a window that opens does not wait for
        from napari_samv1.images.limits import percentiles_of_plane, percentiles_of_stack

        find = percentiles_of_plane if self.sight.limits == "plane" else percentiles_of_stack
        found = find(image.projected, self.plane, self.sight.percentiles)
        self.found[self._found_at(image)] = found
        return found
