"""BoundLabels: the Labels layer that shows the open image's objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from napari.layers import Labels

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.layers.annotated_images import AnnotatedImages
from napari_samv1.layers.labels.make import LabelsError, highest_label, lacks_room, widen
from napari_samv1.layers.labels.strokes import unfinished
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
        self._is_taking = False
        self._late: tuple[object, list[Plane]] = None, []  # image and planes to write after a stroke
        self._images, self._screen, self._make = images, screen, make

    def prepare(self) -> None:
        """Make the layer before there is a mask, so that the first click need not wait for it."""
        if self.layer is None and not self.dismissed:
            with suppress(NoPlaneError):
                self._make()

    def write(self, planes: Iterable[Plane]) -> str:
        """Bring planes up to date with the document; "" or a sentence.

        While a stroke is drawn, its pixels belong to no object: planes are written when it has ended.
        """
        opened = self._images.opened
        if opened is None:
            return ""
        image, late = self._late
        planes = list(dict.fromkeys([*(late if image is opened else ()), *planes]))
        self._late = opened, planes if self.is_drawing else []
        if self.is_drawing:
            return ""
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
    def is_drawing(self) -> bool:
        """True while a stroke is drawn on the layer."""
        return self.layer is not None and not self._is_taking and bool(unfinished(self.layer))

    @contextmanager
    def taking_a_stroke(self) -> Iterator[None]:
        """Context in which a stroke that has ended becomes a step, and late planes are written."""
        self._is_taking = True
        try:
            yield
            self.write(())
        finally:
            self._is_taking = False

    @property
    def highest(self) -> int:
        """The largest label of the bound layer; 0 without one."""
        return 0 if self.layer is None else highest_label(self.layer)
