"""Table of all actions, from which buttons, menus and keys are made."""

from __future__ import annotations

from collections.abc import Callable

from napari_samv1.app.app import Action, App
from napari_samv1.app.canvas import STROKES, Tool
from napari_samv1.app.state import State

FLIPPED: dict[Tool, Tool] = {"brush": "eraser", "eraser": "brush"}


def _next(app: App) -> str:
    app.canvas.current.next()
    return ""


def _previous(app: App) -> str:
    """Make the previous object in the list current; the first one stays current."""
    shown, current = app.canvas.shown, app.canvas.current.number
    before = [] if shown is None else [number for number in shown.objects if number < current]
    if before:
        app.canvas.current.number = max(before)
    return ""


def _delete(app: App) -> str:
    """Delete the current object; the next in the list becomes current, so that Delete can be repeated."""
    canvas = app.canvas
    gone = canvas.current.number
    sentence = canvas.edits.delete(gone)
    shown = canvas.shown
    if shown is not None and not sentence and shown.get(gone) is None and shown.objects:
        left = sorted(shown.objects)
        canvas.current.number = next((number for number in left if number > gone), left[-1])
    return sentence


def _flip(app: App) -> str:
    tool = app.tools.tool
    if tool in STROKES:
        app.tools.take(FLIPPED[tool])
    else:
        app.canvas.edits.flip_polarity()
    return ""


def _polarity(foreground: bool) -> Callable[[App], str]:
    """Set the polarity of the next prompt; while painting, take the brush or the eraser."""

    def run(app: App) -> str:
        if app.tools.tool in STROKES:
            return app.take_tool("brush" if foreground else "eraser")
        app.canvas.current.polarity = "positive" if foreground else "negative"
        return ""

    return run


def _tool(tool: Tool) -> Callable[[App], str]:
    return lambda app: app.take_tool(tool)


def _review(verb: str) -> Callable[[App], str]:
    def run(app: App) -> str:
        app.review(verb)
        return ""

    return run


def _mask(choice: int | None) -> Callable[[App], str]:
    return lambda app: app.set_setting("choice", "auto" if choice is None else choice)


def _can_undo(state: State) -> bool:
    return bool(state.undo)


def _can_redo(state: State) -> bool:
    return bool(state.redo)


CLICK = Action(
    "tool_click",
    "Click",
    "Point at objects with clicks (a Points layer is made if there is none)",
    _tool("click"),
    key="Shift-C",
    in_words="Click",
    on_image=True,
)
SHAPE = Action(
    "tool_box",
    "Box",
    "Take the shape that was drawn last",
    lambda app: app.take_tool(app.state.shape),
    key="Shift-B",
    in_words="Box, or the shape that was used last",
    on_image=True,
)
BRUSH = Action(
    "tool_brush",
    "Brush",
    "Paint the current object's mask yourself; ✕ Not object erases",
    lambda app: app.take_tool(app.state.stroke),
    key="Shift-D",
    in_words="Brush",
    on_image=True,
)
PICK = Action(
    "tool_pick",
    "Pick",
    "Click on a mask to make its object the current one",
    _tool("pick"),
    key="Shift-K",
    in_words="Pick",
    on_image=True,
)
SHAPES: dict[Tool, Action] = {
    "box": Action("shape_box", "Box", "Drag a rectangle around an object", _tool("box")),
    "polygon": Action(
        "shape_polygon",
        "Polygon",
        "Click the corners of an outline, double-click the last: gives its box, and its area as a hint",
        _tool("polygon"),
    ),
    "ellipse": Action(
        "shape_ellipse",
        "Ellipse",
        "Drag an ellipse over an object: gives its box, and its area as a hint",
        _tool("ellipse"),
    ),
    "scribble": Action(
        "shape_scribble",
        "Scribble",
        "Draw a line along an object, or with ✕ Not object along background: up to 8 points on it count",
        _tool("scribble"),
    ),
}
FLIP_POLARITY = Action(
    "flip_polarity",
    "Switch between object and not object",
    "Also for the brush",
    _flip,
    key="Q",
    in_words="switch between object and not object, also for the brush",
)
FOREGROUND = Action(
    "foreground", "● Object", "The next point says: this belongs to the object", _polarity(True)
)
BACKGROUND = Action(
    "background", "✕ Not object", "The next point says: this doesn't belong to the object", _polarity(False)
)
NEXT_OBJECT = Action(
    "next_object", "Next object", "Start a new object", _next, key="N", in_words="next object"
)
PREVIOUS_OBJECT = Action(
    "previous_object",
    "Previous object",
    "Take the object before this one in the list",
    _previous,
    key="Shift-N",
    in_words="previous object",
)
REMOVE_LAST = Action(
    "remove_last",
    "Remove last prompt",
    "Remove the newest click or shape of this object",
    lambda app: app.canvas.edits.remove_last(),
    key="Shift-Backspace",
    in_words="remove the last prompt of this object",
)
# no single letter deletes: it is too easily pressed
DELETE_OBJECT = Action(
    "delete_object",
    "Delete",
    "Delete the current object: its prompts and its pixels",
    _delete,
    key="Shift-Delete",
    in_words="delete this object",
)
CLEAR = Action(
    "clear_object",
    "Clear object",
    "Remove this object's prompts and strokes; its number and settings stay",
    lambda app: app.canvas.edits.clear(),
)
CONTINUE = Action(
    "continue_object",
    "Continue object of the last slice",
    "Give the next prompts on this slice to the object of the slice before",
    lambda app: app.canvas.current.carry_over(),
)
REFINE = Action(
    "refine_object",
    "Refine this object",
    "Give its mask to the model as a hint, also the mask of an existing label. Use Split to cut an object",
    lambda app: app.canvas.edits.refine(),
)
SPLIT = Action(
    "split",
    "Split",
    "Two objects in one? Click once on each of them, then Split: each click, box or shape becomes an object. "
    "Each gets a copy of all negative points (✕)",
    lambda app: app.canvas.edits.split(share_background=True),
)
SPLIT_NEAREST = Action(
    "split_nearest",
    "Split, each negative point to the nearest",
    "As Split, but each negative point (✕) goes to the nearest object",
    lambda app: app.canvas.edits.split(share_background=False),
)
UNDO = Action(
    "undo",
    "↶ Undo",
    "Undo",
    lambda app: app.canvas.edits.undo(),
    key="Control-Z",
    in_words="undo",
    enabled=_can_undo,
)
REDO = Action(
    "redo",
    "↷ Redo",
    "Redo",
    lambda app: app.canvas.edits.redo(),
    key="Control-Shift-Z",
    in_words="redo",
    enabled=_can_redo,
)
MASKS = tuple(
    Action(f"mask_{number}", f"Mask {number}", "", _mask(number - 1), f"Alt-{number}", f"take mask {number}")
    for number in (1, 2, 3, 4)
)
MASK_AUTO = Action("mask_auto", "Auto", "", _mask(None), "Alt-0", "let the model choose the mask")

# here a single letter may delete, as it does nothing outside a review
REVIEW = {
    verb: Action(
        f"review_{verb}",
        title,
        tip,
        _review(verb),
        key,
        f"in a review: {verb} this object",
        on_image=True,
    )
    for verb, title, tip, key in (
        ("keep", "Keep", "It is good: go on to the next", "K"),
        ("correct", "Correct", "Take the click tool for this object; Keep goes on when it is right", "J"),
        ("delete", "Delete", "Delete this object (Undo brings it back), and go on to the next", "W"),
    )
}

TOOLS = {"click": CLICK, "box": SHAPE, "brush": BRUSH, "pick": PICK}
# in the order of the list of keys
KEYS = (
    *TOOLS.values(),
    FLIP_POLARITY,
    NEXT_OBJECT,
    PREVIOUS_OBJECT,
    REMOVE_LAST,
    DELETE_OBJECT,
    *MASKS,
    MASK_AUTO,
    *REVIEW.values(),
)
ACTIONS = {
    action.name: action
    for action in (
        *KEYS,
        *SHAPES.values(),
        FOREGROUND,
        BACKGROUND,
        CLEAR,
        CONTINUE,
        REFINE,
        SPLIT,
        SPLIT_NEAREST,
        UNDO,
        REDO,
    )
}
