"""Canvas: all that the application asks of napari's layers, which ``layers.binding`` answers."""

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
    """There is no plane to annotate now; the message is a sentence that says why and what helps."""


class Read(Protocol):
    """Outcome of reading the prompts: sentences for the panel."""

    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def problem(self) -> str: ...


class Screen(Protocol):
    """The plane that is displayed."""

    sight: Sight  # what the model is to see of the image

    @property
    def in_3d(self) -> bool: ...
    def plane(self) -> EncodedPlane:
        """The displayed plane; raises ``NoPlaneError``."""

    def part(self) -> Part:
        """The part of the displayed plane that is on the screen; raises ``NoPlaneError``."""

    def one_look(self) -> AbstractContextManager[None]:
        """While it lasts, the displayed plane is resolved once, as long as nobody moves the viewer."""


class Current(Protocol):
    """The object that the next prompt belongs to, and the prompt's polarity."""

    number: int
    polarity: Polarity

    def next(self) -> int:
        """Begin another object; its number."""

    def carry_over(self) -> str:
        """Go on with the object of the slice before; "" or a sentence."""


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
    new_detail: Detail  # asked for objects whose own is "auto", with their first prompt

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
        """The layers in use: image, points, shapes, labels; None for those that there are not."""

    @property
    def document(self) -> Document | None: ...
    @property
    def shown(self) -> PlaneView | None:
        """The displayed plane's pieces. None without a plane."""

    def sync(self) -> Read:
        """Read the prompts into the document, and write the masks that are known."""

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
        """Have something called when the person does something on the canvas. None of it reads anything."""

    def close(self) -> None: ...


class Tools(Protocol):
    """The tool that the canvas listens to."""

    @property
    def tool(self) -> Tool | None:
        """The tool in hand; None where the canvas listens to nothing of ours."""

    def take(self, tool: Tool) -> None:
        """Have the canvas listen to a tool; raises ``NoPlaneError``."""

    def follow(self) -> None:
        """Listen to the layers that are bound now."""

    def listen(self, on_change: Callable[[], None]) -> None: ...
    def close(self) -> None: ...
