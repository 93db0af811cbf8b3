"""BoundLabels: the Labels layer that shows the open image's objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from napari.layers import Labels

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.layers.annotated_images import AnnotatedImages
from napari_samv1.layers.labels.make import LabelsError, highest_label, lacks_room, widen
from napari_samv1.layers.screen import Screen
from napari_samv1.records.place import Plane


class BoundLabels:
    """Writes objects into the bound layer; ``make`` makes and binds one where there is none.

    After the user ``dismissed`` a layer, none is made before the next prompt.
    """

    def __init__(self, images: AnnotatedImages, screen: Screen, make: Callable[[], object]) -> None:
        self.layer: Labels | None = None
        self.dismissed = False
        self.is_widening = False
        self._images, self._screen, self._make = images, screen, make

    def prepare(self) -> None:
        """Make the layer before there is a mask, so that the first click need not wait for it."""
        if self.layer is None and not self.dismissed:
            with suppress(NoPlaneError):
                self._make()

    def write(self, planes: Iterable[Plane]) -> str:
        """Bring planes up to date with the document; "" or a sentence."""
        opened = self._images.opened
        if opened is None:
            return ""
        planes = list(planes)
        if self.layer is None and any(opened.document.on(plane).objects for plane in planes):
            if self.dismissed:
                return ""
            try:
                # binding writes all objects; before the encoding, as threads of Python hold each other up
                self._make()
            except NoPlaneError as error:
                return str(error)
        if self.layer is None:
            return ""
        highest = max(opened.document.objects, default=0)
        if lacks_room(self.layer, highest):
            self.is_widening = True
            try:
                widen(self.layer, highest)
            finally:
                self.is_widening = False
        return opened.write(self.layer, planes)

    def redraw(self) -> str:
        """Write all objects into the bound layer; "" or a sentence."""
        opened = self._images.opened
        return "" if opened is None or self.layer is None else self.write(opened.document.planes)

    def adopt(self, plane: Plane, object_id: int) -> str:
        """Turn a label of another tool into an object, if there is one; "" or a sentence."""
        opened = self._images.opened
        if self.layer is None or opened is None:
            return ""
        try:
            opened.adopt(plane, self.layer, [object_id])
        except LabelsError as error:
            return str(error)
        self.write([plane])
        return ""

    def shows(self, number: int) -> bool:
        """Return True if the displayed plane of the layer shows a number."""
        plane, opened = self._screen.place, self._images.opened
        if plane is None or opened is None or self.layer is None:
            return False
        try:
            return opened.writer(plane, self.layer).has_label(number)
        except LabelsError:
            return False

    @property
    def highest(self) -> int:
        """The largest label of the bound layer; 0 without one."""
        return 0 if self.layer is None else highest_label(self.layer)
