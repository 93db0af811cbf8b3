"""The current object's logits as an Image layer, exactly on the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_samv1.layers.image import DisplayedPlane

if TYPE_CHECKING:
    from napari_samv1.engine.prediction import Prediction

# logits beyond these are practically certain
CONTRAST = (-10.0, 10.0)
_KEY = "logits"


class LogitsPreview:
    """Layer of the logits last passed to ``show``; removed by ``hide``, or by the user.

    ``on_removed`` is called when the user deletes the layer, so that the preview is switched off.
    """

    def __init__(self, viewer: Any, on_removed: Callable[[], None]) -> None:
        # imported late: it brings torch, and the panel should open at once
        from napari_samv1.layers.inspection import ShownPictures

        self._viewer = viewer
        self._on_removed = on_removed
        self._shown = ShownPictures(viewer)
        self._source: tuple[Any, ...] = ()
        self._showing = False
        viewer.layers.events.removed.connect(self._layer_removed)

    @property
    def layer(self) -> Any:
        """The layer, or None."""
        return self._shown.layer(_KEY)

    def show(
        self, prediction: Prediction, index: int, name: str, image: Image, plane: DisplayedPlane
    ) -> None:
        """Show one of the four logit maps, unless it is shown already."""
        source = (prediction, index, name, plane.key)
        if self._source == source and self.layer is not None:
            return
        from napari_samv1.inspection.cells import Cells
        from napari_samv1.layers.inspection import Picture

        picture = Picture(
            name,
            prediction.logits[index],
            Cells.of_logits(prediction.frame),
            contrast=CONTRAST,
            colormap="PiYG",
            opacity=0.6,
        )
        self._source = source
        self._showing = True
        self._shown.show({_KEY: picture}, image, plane)

    def hide(self) -> None:
        """Remove the layer."""
        self._showing = False
        self._source = ()
        self._shown.show({}, None, None)

    def close(self) -> None:
        """Stop listening, and remove the layer."""
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        self.hide()

    def _layer_removed(self, _event: Any = None) -> None:
        if self._showing and self.layer is None:
            self._showing = False
            self._source = ()
            self._on_removed()
