"""Canvas: the application's interface to napari's layers, implemented by ``layers.binding``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, Protocol

from napari_samv1.app.encoding import EncodedPlane

if TYPE_CHECKING:
    from napari_samv1.annotation.document import Document, PlaneView
    from napari_samv1.app.decoding import Decoding
    from napari_samv1.app.detail import Part
    from napari_samv1.engine.jobs import DecodeResult
    from napari_samv1.records.detail import Detail
    from napari_samv1.records.sight import Sight

Polarity = Literal["positive", "negative"]
Tool = Literal["click", "box", "polygon", "ellipse", "scribble", "brush", "eraser", "pick"]
SHAPE_TOOLS: tuple[Tool, ...] = ("box", "polygon", "ellipse", "scribble")
STROKES: tuple[Tool, ...] = ("brush", "eraser")


class NoPlaneError(ValueError):
    """No plane can be annotated now; the message gives the reason and the remedy."""


class Read(Protocol):
    """Outcome of reading the prompts: sentences for the panel."""

    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def problem(self) -> str: ...


class Screen(Protocol):
    """The plane that is displayed."""

    sight: Sight

    @property
    def in_3d(self) -> bool: ...
    def plane(self) -> EncodedPlane:
        """The displayed plane; raises ``NoPlaneError``."""

    def part(self) -> Part:
        """The part of the displayed plane that is on the screen; raises ``NoPlaneError``."""

    def one_look(self) -> AbstractContextManager[None]:
        """Context in which the displayed plane is resolved once, unless the viewer moves."""


class Current(Protocol):
    """The object that the next prompt belongs to, and the prompt's polarity."""

    number: int
    polarity: Polarity

    def next(self) -> int:
        """Begin another object; its number."""

    def carry_over(self) -> str:
        """Continue the object of the slice before; "" or a sentence."""


class Masks(Protocol):
    """The layer of masks."""

    def shows(self, number: int) -> bool:
        """True if the displayed plane shows a label of this number."""


class Edits(Protocol):
    """Changes of objects; methods that return a ``str`` return "" or a sentence for the panel."""

    def accept(self, results: Sequence[DecodeResult]) -> str: ...
    def set_settings(self, object_id: int, *, gesture: Hashable = None, **changes: Any) -> str: ...
    def flip_polarity(self) -> None: ...
    def refine(self) -> str: ...
    def split(self, *, share_background: bool = True) -> str: ...
    def remove_last(self) -> str: ...
    def clear(self) -> str: ...
    def delete(self, object_id: int) -> str: ...
    def undo(self) -> str: ...
    def redo(self) -> str: ...


class Canvas(Protocol):
    """Layers of prompts and masks on one image, with the image's document."""

    decoding: Decoding
    new_detail: Detail  # for the first prompt of objects whose detail is "auto"

    @property
    def screen(self) -> Screen: ...
    @property
    def current(self) -> Current: ...
    @property
    def masks(self) -> Masks: ...
    @property
    def edits(self) -> Edits: ...
    @property
    def image_name(self) -> str | None:
        """Name of the image that is segmented, None without one."""

    @property
    def bound(self) -> tuple[object, ...]:
        """Layers in use: image, points, shapes, labels; None for a missing one."""

    @property
    def document(self) -> Document | None: ...
    @property
    def shown(self) -> PlaneView | None:
        """The displayed plane's pieces. None without a plane."""

    def sync(self) -> Read:
        """Read the prompts into the document, and write the available masks."""

    def listen(
        self,
        *,
        on_prompts: Callable[[], None],
        on_plane: Callable[[], None],
        on_view: Callable[[], None],
        on_layers: Callable[[], None],
        on_current: Callable[[], None],
        on_edited: Callable[[str], None],
        on_key: Callable[[str], None],
    ) -> None:
        """Connect callbacks to the user's actions on the canvas; layers are not read for them."""

    def close(self) -> None: ...


class Tools(Protocol):
    """The canvas's active tool."""

    @property
    def tool(self) -> Tool | None:
        """Active tool, or None."""

    def take(self, tool: Tool) -> None:
        """Make a tool active; raises ``NoPlaneError``."""

    def follow(self) -> None:
        """Apply the active tool to the layers that are bound now."""

    def listen(self, on_change: Callable[[], None]) -> None: ...
    def close(self) -> None: ...
