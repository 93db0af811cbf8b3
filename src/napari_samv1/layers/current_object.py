"""CurrentObject: the object that the next prompt belongs to, one for each slice."""

from __future__ import annotations

from napari_samv1.annotation.pieces import Piece
from napari_samv1.layers.annotated_images import AnnotatedImages
from napari_samv1.layers.labels.bound import BoundLabels
from napari_samv1.layers.prompts.features import POSITIVE, Polarity
from napari_samv1.layers.prompts.pair import PromptPair
from napari_samv1.layers.screen import Screen
from napari_samv1.records.place import Plane

NOTHING_TO_CONTINUE = "There is no object of another slice to continue: click on one there, then come back."


class CurrentObject:
    """Number and polarity of the next prompt; both prompt layers take them as their defaults."""

    def __init__(
        self, images: AnnotatedImages, screen: Screen, prompts: PromptPair, masks: BoundLabels
    ) -> None:
        self._images, self._screen, self._prompts, self._masks = images, screen, prompts, masks
        self._plane: Plane | None = None  # displayed last
        self._continued = 0  # current object of the slice before

    @property
    def number(self) -> int:
        """The object that the next prompt belongs to."""
        return self._prompts.object_id

    @number.setter
    def number(self, number: int) -> None:
        if number < 1:
            raise ValueError(f"an object's number must be 1 or more, got {number}")
        self._prompts.set_next(number, self.polarity)

    @property
    def polarity(self) -> Polarity:
        """Polarity of the next prompt: "positive" (foreground) or "negative" (background)."""
        return self._prompts.polarity

    @polarity.setter
    def polarity(self, polarity: Polarity) -> None:
        self._prompts.set_next(self.number, polarity)

    @property
    def piece(self) -> Piece | None:
        """The object's piece on the displayed plane."""
        plane, opened = self._screen.place, self._images.opened
        return None if plane is None or opened is None else opened.document.piece(plane, self.number)

    def next(self) -> int:
        """Begin another object, with the first free number."""
        self._prompts.set_next(self.first_free(), POSITIVE)
        return self.number

    def carry_over(self) -> str:
        """Continue the object of the slice before on this slice; "" or a sentence."""
        opened = self._images.opened
        if opened is None or self._continued not in opened.document.objects:
            return NOTHING_TO_CONTINUE
        self._prompts.set_next(self._continued, POSITIVE)
        return ""

    def first_free(self) -> int:
        """One above the highest number of prompts, document and labels."""
        return max({self._masks.highest} | self._prompts.object_ids() | self._in_document()) + 1

    def avoid_labels(self) -> None:
        """Skip the numbers of existing labels, so that a new object does not take one over."""
        if self.number not in self._prompts.object_ids() | self._in_document():
            self.number = max(self.number, self._masks.highest + 1)

    # Slices and images

    def arrive(self, plane: Plane) -> None:
        """Select the object that was last current on a slice, or a new one.

        Prompts with the same number would continue the object, which only ``carry_over`` does.
        """
        before, opened = self._plane, self._images.opened
        if opened is None or plane == before:
            return
        self._remember()
        self._plane = plane
        document, current = opened.document, self.number
        if before is None or document.piece(plane, current) is not None:
            return
        if document.pieces_of(current) or current in self._prompts.object_ids():
            self._continued = current
        remembered = opened.current.get(plane)
        if remembered is not None and document.piece(plane, remembered) is not None:
            self._prompts.set_next(remembered, self.polarity)
        elif self._continued == current:
            self._prompts.set_next(self.first_free(), self.polarity)

    def leave(self) -> None:
        """Remember the current object of the image that is closed."""
        self._remember()
        self._plane = None

    def begin_image(self) -> None:
        """Start a newly chosen image with a free number."""
        if self._images.opened is not None and self.number not in self._in_document():
            self._prompts.set_next(self.first_free(), self.polarity)

    def _remember(self) -> None:
        opened = self._images.opened
        if opened is not None and self._plane is not None:
            opened.current[self._plane] = self.number

    def _in_document(self) -> set[int]:
        opened = self._images.opened
        return set() if opened is None else set(opened.document.objects)
