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


class Canvas(Protocol):
    """Layers of prompts and masks on one image, with the image's document.

    Methods that return a ``str`` return "" or a sentence for the panel.
    """

    decoding: Decoding
    new_detail: Detail  # asked for objects whose own is "auto", with their first prompt
    current_object: int
    polarity: Polarity
    sight: Sight  # what the model is to see of the image

    # Looking

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

    @property
    def in_3d(self) -> bool: ...
    def plane(self) -> EncodedPlane:
        """The displayed plane; raises ``NoPlaneError``."""

    def part_on_screen(self) -> Part:
        """The part of the displayed plane that is on the screen; raises ``NoPlaneError``."""

    def one_look(self) -> AbstractContextManager[None]:
        """While it lasts, the displayed plane is resolved once, as long as nobody moves the viewer."""

    def shows_label(self, number: int) -> bool: ...

    def flip_polarity(self) -> None: ...

    # Changing

    def sync(self) -> Read:
        """Read the prompts into the document, and write the masks that are known."""

    def accept_each(self, results: Sequence[DecodeResult]) -> str: ...
    def set_settings(self, object_id: int, *, gesture: Hashable = None, **changes: Any) -> str: ...
    def next_object(self) -> int: ...
    def continue_object(self) -> str: ...
    def remove_last(self) -> str: ...
    def clear_current(self) -> str: ...
    def delete_object(self, object_id: int) -> str: ...
    def refine_current(self) -> str: ...
    def split_current(self, *, share_background: bool = True) -> str: ...
    def undo(self) -> str: ...
    def redo(self) -> str: ...

    # Events

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
