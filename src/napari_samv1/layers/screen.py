"""Screen: the plane of the open image that the viewer shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.app.detail import Part
from napari_samv1.layers.annotated_images import AnnotatedImages
from napari_samv1.layers.image import DisplayedPlane, displayed_plane, show_plane
from napari_samv1.layers.on_screen import part_on_screen
from napari_samv1.layers.sight import ImageSight
from napari_samv1.records.place import Plane
from napari_samv1.records.sight import Sight


class Screen:
    """Resolves the displayed plane at each call, or once within ``one_look``.

    Calls ``on_change``, without arguments, when the model may see other pixels of it.
    """

    def __init__(self, viewer: Any, images: AnnotatedImages, on_change: Callable[[], None]) -> None:
        self._viewer, self._images = viewer, images
        self._sight = ImageSight(viewer, on_change)
        self._looking = False
        self._seen: DisplayedPlane | NoPlaneError | None = None  # cached within ``one_look``

    def close(self) -> None:
        """Disconnect from the layers."""
        self._sight.close()

    @property
    def in_3d(self) -> bool:
        """True if the viewer shows 3D."""
        return bool(self._viewer.dims.ndisplay == 3)

    def plane(self) -> DisplayedPlane:
        """The plane that the image layer shows now.

        Raises
        ------
        NoPlaneError
            If there is no image, or no plane of it is shown.
        """
        if self._seen is None or not self._looking:
            opened = self._images.opened
            revision = 0 if opened is None else opened.revision
            try:
                image = self._images.chosen.image
                plane = displayed_plane(self._viewer, image, data_revision=revision)
                self._seen = self._sight.complete(plane, image)
            except NoPlaneError as error:
                self._seen = error
        if isinstance(self._seen, NoPlaneError):
            raise self._seen
        return self._seen

    def plane_beside(self, plane: Plane) -> DisplayedPlane:
        """Another plane of the image as the model is to see it; raises ``NoPlaneError``."""
        chosen = self._images.chosen
        return self._sight.complete(chosen.displayed(plane), chosen.image)

    @property
    def sight(self) -> Sight:
        """Channels and limits of the image for the model."""
        return self._sight.sight

    @sight.setter
    def sight(self, sight: Sight) -> None:
        self._sight.sight = sight

    @property
    def place(self) -> Plane | None:
        """Displayed plane of the image; None without one."""
        try:
            return self.plane().plane
        except NoPlaneError:
            return None

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """Resolve the displayed plane only once in this context and those inside it, unless it moves."""
        if self._looking:
            yield
            return
        self._looking, self._seen = True, None
        try:
            yield
        finally:
            self._looking, self._seen = False, None

    def moved(self) -> None:
        """Note that another plane may be shown."""
        self._seen = None

    def part(self) -> Part:
        """The part of the displayed plane that is on the screen, in its pixels; raises ``NoPlaneError``."""
        return part_on_screen(self._viewer, self._images.chosen.image, self.plane())

    def go_to(self, plane: Plane) -> None:
        """Move the viewer's sliders to a plane of the image."""
        show_plane(self._viewer, self._images.chosen.image, plane)
