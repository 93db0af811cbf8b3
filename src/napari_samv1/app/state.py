"""State: everything that views show at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_samv1.app.canvas import STROKES, Polarity, Tool
from napari_samv1.app.encoding import EncodedPlane, Encoding, EncodingStatus
from napari_samv1.app.models import DownloadState
from napari_samv1.records.detail import Detail
from napari_samv1.records.settings import FOR_NEW_OBJECTS, ObjectSettings
from napari_samv1.records.sight import AS_DISPLAYED, Sight

if TYPE_CHECKING:
    from napari_samv1.annotation.document import Document
    from napari_samv1.annotation.pieces import Piece
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.engine.regions import Window

NO_IMAGE = EncodingStatus(Encoding.NO_IMAGE, "no image", can_encode=False)


@dataclass(frozen=True)
class ModelStatus:
    """Status of the model in use."""

    sentence: str = ""
    is_loaded: bool = False


@dataclass(frozen=True, eq=False)
class State:
    """Everything that a view shows; made once per change by ``App``, never changed.

    Views get the state before and the state now, and touch what ``differs``.
    """

    # the image
    image: str | None = None  # its name
    layers: tuple[object, ...] = (None, None, None, None)  # image, points, shapes, labels
    plane: EncodedPlane | None = None
    place: object = None  # the displayed plane, its data and how it is displayed
    in_3d: bool = False
    encoding: EncodingStatus = NO_IMAGE
    detail: Detail = "whole"  # of the next prompt's answer
    has_details: bool = False  # the plane is larger than a region
    windows: tuple[Window, ...] = ()  # encoded windows of the plane
    sight: Sight = AS_DISPLAYED
    limits: tuple[tuple[str, tuple[float, float] | None], ...] = ()  # of channels by name, None until found
    # its objects
    document: Document | None = None
    revision: int = 0  # of the document
    objects: Mapping[int, Piece] = field(default_factory=dict)  # of the plane
    undo: str = ""  # label of the step, "" for none
    redo: str = ""
    # the current object
    current: int = 1
    piece: Piece | None = None  # on the displayed plane
    prediction: Prediction | None = None  # source of the piece's mask, if still cached
    settings: ObjectSettings = FOR_NEW_OBJECTS
    is_foreign_label: bool = False  # the current number is another tool's label, and not yet an object
    # the next prompt
    tool: Tool | None = None
    shape: Tool = "box"  # the shape that was drawn last
    polarity: Polarity = "positive"
    # the model and messages
    model: ModelStatus = ModelStatus()
    download: DownloadState | None = None
    message: str = ""

    @property
    def foreground(self) -> bool:
        """True if the next prompt or stroke adds to the object."""
        return self.tool == "brush" if self.tool in STROKES else self.polarity == "positive"

    @property
    def stroke(self) -> Tool:
        """The brush, or the eraser where the next prompt is background."""
        return "brush" if self.foreground else "eraser"

    def differs(self, other: State, *names: str) -> bool:
        """Return True if any of these fields differs from another state's."""
        return any(getattr(self, name) != getattr(other, name) for name in names)
