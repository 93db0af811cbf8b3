"""Images of a plane for the model: one or several, between limits that a worker finds."""

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
    """Pixels, intensity and gamma for ``Predictor.embed``.

    For composed channels, ``pixels`` are the 8-bit RGB made by ``display``. ``hashes`` are those of all
    planes that were read, by their keys.
    """

    pixels: NDArray[Any] = field(repr=False)
    intensity: Intensity
    gamma: float
    display: Display | None = None
    hashes: Mapping[Hashable, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SeenImage:
    """One image as displayed: ``intensity`` holds its limits, ``paint`` its colours.

    ``key`` identifies its plane, ``image`` and ``revision`` its data. ``pixels_hash`` reads the plane and
    hashes it. A ``projection`` adds the slices around the plane.
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
        """Source of the pixels for the model: ``source``, or a projection of it."""
        return projected(self.source, self.projection)


@dataclass(frozen=True, eq=False)
class Seen:
    """Images of a plane for the model, lowest first, and the rule for their limits.

    ``is_alone`` is True for the annotated image alone. ``found`` is a cache of limits found in pixels, which
    several records share.
    """

    plane: Plane
    shape_yx: tuple[int, int]
    images: tuple[SeenImage, ...]
    is_alone: bool = True
    sight: Sight = AS_DISPLAYED
    found: dict[Hashable, Limits] = field(default_factory=dict, repr=False)

    # Without reading pixels

    @property
    def key(self) -> Hashable:
        """Everything that an encoding depends on."""
        return tuple(
            (one.key, one.revision, self._rule(one), one.gamma, one.paint, one.projection)
            for one in self.images
        )

    @property
    def made_of(self) -> dict[str, Hashable]:
        """Channels and slices of an encoding, under their names in a status sentence."""
        return {
            "channels": tuple(one.key for one in self.images),
            "slices": tuple(one.projection for one in self.images),
        }

    @property
    def limits(self) -> tuple[tuple[str, Limits | None], ...]:
        """Names of the images and their limits, None until found."""
        return tuple((str(one), self._limits_if_found(one)) for one in self.images)

    @property
    def is_as_displayed(self) -> bool:
        """True for the annotated image alone, between its contrast limits, in grey."""
        first = self.images[0]
        return (
            self.is_alone
            and self.sight.limits == "displayed"
            and (first.paint, first.projection) == (PLAIN, None)
        )

    @property
    def source(self) -> Source:
        """Source of the image, or of all images as channels."""
        if self.is_alone:
            return self.images[0].projected
        return StackedSource(tuple(one.projected for one in self.images))

    def glimpse(self, rows: ArrayLike, columns: ArrayLike) -> NDArray[np.uint8] | None:
        """Some rows and columns as a model sees them, RGB (R, C, 3); None if not in memory."""
        limits = [found for _, found in self.limits if found is not None]
        if len(limits) < len(self.images) or not all(one.source.in_memory for one in self.images):
            return None
        places = [np.asarray(rows), np.asarray(columns)]
        (top, left), (bottom, right) = ([int(edge(at)) for at in places] for edge in (np.min, np.max))
        hw = bottom - top + 1, right - left + 1
        pixels = self.source.read(Region(self.plane, (top, left, *hw)), hw)
        cut = pixels[np.ix_(places[0] - top, places[1] - left)]
        return displayed(np.nan_to_num(cut) if cut.dtype.kind == "f" else cut, self._display(limits))

    # In a worker

    def pixels(self) -> SeenPixels:
        """The plane's pixels and limits; reads pixels, so call it in a worker."""
        hashes = self.hashes()
        display = self._found_display(hashes)
        pixels = self.source.read(Region(self.plane, (0, 0, *self.shape_yx)), self.shape_yx)
        if display.is_single:
            (channel,) = display.channels
            return SeenPixels(pixels, (channel.low, channel.high), channel.gamma, hashes=hashes)
        return SeenPixels(displayed(pixels, display), None, 1.0, display, hashes)

    def display(self) -> Display:
        """The plane's display; reads pixels to find limits, so call it in a worker."""
        return self._found_display({} if self.is_alone else self.hashes())

    def hashes(self) -> dict[Hashable, str]:
        """Hashes of the planes of all images by their keys; reads pixels, so call it in a worker."""
        return {one.key: one.pixels_hash() for one in self.images}

    def _found_display(self, hashes: Mapping[Hashable, str]) -> Display:
        named = () if self.is_alone else hashes.values()
        return self._display([self._limits(one) for one in self.images], *named)

    def _display(self, limits: Sequence[Limits], *hashes: str) -> Display:
        named = hashes if len(hashes) == len(self.images) else [""] * len(self.images)
        return Display(
            tuple(
                Channel(low, high, one.gamma, one.paint, one.source.rgb, pixels, one.projection)
                for one, (low, high), pixels in zip(self.images, limits, named, strict=True)
            )
        )

    # Limits

    def _rule(self, image: SeenImage) -> Hashable:
        """Settings that an image's limits depend on, beside its data."""
        if self.sight.limits == "displayed":
            return image.intensity
        if self.sight.limits == "fixed":
            return self.sight.fixed
        return self.sight.limits, self.sight.percentiles

    def _found_at(self, image: SeenImage) -> Hashable:
        place = self.plane if self.sight.limits == "plane" else self.plane.axes
        return image.image, place, image.revision, image.projection, self._rule(image)

    def _limits_if_found(self, image: SeenImage) -> Limits | None:
        if self.sight.limits == "displayed":
            return limits_of(np.zeros((1, 1), image.source.dtype), image.intensity)
        return self.sight.fixed if self.sight.limits == "fixed" else self.found.get(self._found_at(image))

    def _limits(self, image: SeenImage) -> Limits:
        limits = self._limits_if_found(image)
        from_pixels = self.sight.limits in ("plane", "stack")
        # pixels in memory may have changed in place, without an event, so their limits are found again
        if limits is not None and not (from_pixels and image.source.in_memory):
            return limits
        # imports torch, which would delay the opening of a window
        from napari_samv1.images.limits import percentiles_of_plane, percentiles_of_stack

        find = percentiles_of_plane if self.sight.limits == "plane" else percentiles_of_stack
        found = find(image.projected, self.plane, self.sight.percentiles)
        self.found[self._found_at(image)] = found
        return found
