"""AnnotatedImages: the images of a viewer, their documents, and the layers last bound to each."""

from __future__ import annotations

from collections.abc import Container, Hashable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from napari_samv1.annotation.document import Document, Lookup
from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.layers.annotated import AnnotatedImage, BoundLayers, detached

NOTHING_CHOSEN = "Choose an image layer to segment."


class AnnotatedImages:
    """All images that are or were annotated, of which at most one is open.

    A prompt or Labels layer serves all images in one place. ``lookup`` finds cached answers.
    """

    def __init__(self, lookup: Lookup) -> None:
        self.opened: AnnotatedImage | None = None
        self._lookup = lookup
        self._all: dict[Hashable, AnnotatedImage] = {}
        self._retired: dict[Hashable, list[AnnotatedImage]] = {}  # of earlier data, by the layer's id
        self._left: AnnotatedImage | None = None  # the one that was open before
        self._place: NDArray[np.floating] | None = None  # world extent of the image closed last

    @property
    def chosen(self) -> AnnotatedImage:
        """The open image.

        Raises
        ------
        NoPlaneError
            If no image is open.
        """
        if self.opened is None:
            raise NoPlaneError(NOTHING_CHOSEN)
        return self.opened

    @property
    def with_pieces(self) -> list[AnnotatedImage]:
        """All images with pieces, open or not, for the session's record."""
        return [one for one in self._all.values() if one.document.planes]

    def of(self, layer: Image) -> AnnotatedImage:
        """The annotation of an image that is or was open."""
        return self._all[layer.unique_id]

    def with_document(self, document: Document) -> AnnotatedImage | None:
        """The annotation that holds a document; None if it was dropped."""
        return next((one for one in self._all.values() if one.document is document), None)

    def drop(self, layer: Image) -> None:
        """Forget the annotation of one image, if it has any."""
        self._all.pop(layer.unique_id, None)
        self._retired.pop(layer.unique_id, None)

    def retire(self, layer: Image) -> None:
        """Put the annotation of a layer's earlier data aside, for the session's record alone."""
        retired = self._all.pop(layer.unique_id, None)
        if retired is not None and retired.document.planes:
            retired.image = detached(layer, retired.data)
            self._retired.setdefault(layer.unique_id, []).append(retired)

    def to_record(self, present: Sequence[Hashable]) -> list[AnnotatedImage]:
        """Annotations with pieces of layers by their ids, in that order; those of earlier data first."""
        found = []
        for layer_id in present:
            found += self._retired.get(layer_id, [])
            if layer_id in self._all and self._all[layer_id].document.planes:
                found.append(self._all[layer_id])
        return found

    def labels_deleted(self, layer: Labels, *, bound: bool) -> None:
        """Forget a deleted layer in every image that used it; in the open one if it was ``bound``."""
        for one in self._all.values():
            if bound if one is self.opened else one.layers.labels is layer:
                one.labels_deleted(layer)

    def forget_all(self) -> None:
        """Forget all annotations; none is open."""
        self.opened = self._left = None
        self._all.clear()
        self._retired.clear()

    # Another image

    def close(self, bound: BoundLayers) -> None:
        """Close the open image, and remember its layers."""
        closed = self._left = self.opened
        self.opened = None
        if closed is None:
            return
        self._place = closed.image.extent.world
        closed.layers = bound
        labels = bound.labels
        if labels is not None and not closed.document.in_use and not fills(closed.image, labels.extent.world):
            closed.layers = replace(bound, labels=None)  # another image's layer, without masks of this one

    def open(self, layer: Image) -> bool:
        """Open an image's annotation, or begin one; False if it is new."""
        annotated = self._all.get(layer.unique_id)
        if annotated is not None and annotated.data is not layer.data and not annotated.data_replaced():
            self.retire(layer)
            annotated = None
        self.opened = annotated or self._begun(layer)
        self.opened.drop_writers()
        return annotated is not None

    def _begun(self, layer: Image) -> AnnotatedImage:
        document = Document(self._lookup)
        if self._left is not None:
            document.defaults = self._left.document.defaults
        self._all[layer.unique_id] = annotated = AnnotatedImage(layer, document)
        # planes of earlier data have keys of their own
        earlier = self._retired.get(layer.unique_id, [])
        annotated.revision = 1 + max((one.revision for one in earlier), default=-1)
        return annotated

    @property
    def beside(self) -> bool:
        """True if the open image lies where the last one did, like another channel."""
        return self._place is None or fills(self.chosen.image, self._place)

    def after_leaving(self, bound: BoundLayers) -> BoundLayers:
        """Unbind the layers of the closed image, which mean nothing on an image elsewhere.

        The open image gets its own layers with its first prompt. Unless the closed image is annotated, empty
        prompt layers stay bound, and so does a Labels layer that lies on the open image.
        """
        annotated = self._left is not None and self._left.document.in_use
        if annotated or any(layer is not None and len(layer.data) for layer in (bound.points, bound.shapes)):
            return BoundLayers()
        if bound.labels is not None and not fills(self.chosen.image, bound.labels.extent.world):
            return replace(bound, labels=None)
        return bound

    def after_coming_back(
        self, bound: BoundLayers, present: Container[Layer], *, beside: bool
    ) -> BoundLayers:
        """Bind the layers that an annotated image had before, and no others.

        Layers that are no longer ``present`` are skipped. An image ``beside`` the closed one that shared a
        layer with it keeps sharing all layers.
        """
        opened = self.opened
        if opened is None:
            return bound
        names = [one.name for one in fields(BoundLayers)]
        had: dict[str, Any] = {name: getattr(opened.layers, name) for name in names}
        had = {name: layer if layer in present else None for name, layer in had.items()}
        shared = any(layer is not None and layer is getattr(bound, name) for name, layer in had.items())
        keeps = (beside and shared) or not opened.document.in_use
        return replace(bound, **{name: one for name, one in had.items() if one is not None or not keeps})

    def claim(self, *layers: Layer | None) -> None:
        """Reserve layers for the open image and images in the same place; other images forget them."""
        opened = self.opened
        if opened is None:
            return
        taken = [layer for layer in layers if layer is not None]
        for other in self._all.values():
            if other is not opened and not fills(opened.image, other.image.extent.world):
                other.forget(taken)


def fills(image: Image, corners: NDArray[np.floating]) -> bool:
    """Return True if an image fills the corners of another, as a channel does: prompts serve both."""
    place = image.extent.world
    return place.shape == corners.shape and np.allclose(place, corners)
