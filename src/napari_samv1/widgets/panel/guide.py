"""Guide: the next step as a sentence, for first-time users."""

from __future__ import annotations

from dataclasses import dataclass

from napari_samv1.app.canvas import Tool
from napari_samv1.app.encoding import Encoding

POINTING: dict[Tool, str] = {
    "click": "Click on an object in the image.",
    "box": "Drag a rectangle around an object.",
    "polygon": "Click along an object's outline; double-click to finish. The model gets its box and area.",
    "ellipse": "Drag an ellipse over an object. The model gets its box and area.",
    "scribble": "Draw a line along an object: points on the line are foreground.",
    "brush": "Paint the object. Painted pixels stay, whatever the model predicts later.",
    "eraser": "Erase wrong pixels. Erased pixels stay erased, whatever the model predicts later.",
    "pick": "Click on a mask: its object becomes the current one.",
}
CORRECTING: dict[Tool, str] = {
    "box": "Box set. To correct the mask, press Click.",
    "polygon": "Outline set. To correct the mask, press Click.",
    "ellipse": "Ellipse set. To correct the mask, press Click.",
    "scribble": "Missing something? Draw on it. Too much? ✕ Not object, and draw there.",
    "brush": "Missing something? Paint it. Too much? ✕ Not object makes the brush an eraser.",
    "eraser": "Too much? Erase it. ● Object makes the eraser a brush.",
}


@dataclass(frozen=True)
class Situation:
    """The state that the guide depends on."""

    has_image: bool
    has_model: bool
    encoding: Encoding
    tool: Tool | None  # None when the canvas isn't listening
    prompts: int
    has_mask: bool
    next_object_key: str
    one_each: bool = False  # every click or box begins another object
    in_3d: bool = False
    wants_download: bool = False
    objects: int = 0
    refined: bool = False  # the object's pixels are a hint to the model
    foreign_label: int = 0  # the current number if it is an existing label and no object yet


def next_step(situation: Situation) -> str:
    """Short sentence with the next step."""
    if not situation.has_image:
        return (
            "1. Open an image (File > Open, or File > Open Sample > Segment Anything), then choose it here."
        )
    if situation.in_3d:
        return (
            "The model works on flat images: go back to the 2D view (the cube button under the layer list)."
        )
    if situation.wants_download:
        return "This model is not on your disk yet: press Download, or choose another one."
    if situation.tool == "pick":
        return POINTING["pick"]
    if situation.foreign_label and not situation.prompts:
        return (
            f"{situation.foreign_label} is an existing label. To correct it: More > Refine this object, then "
            "click. A click alone replaces it."
        )
    if not situation.prompts and not situation.has_mask:
        if situation.tool is None:
            return "2. Press Click or Box, then point at an object in the image."
        return f"2. {POINTING[situation.tool]}"
    if not situation.has_mask:
        if situation.encoding in (Encoding.ENCODING, Encoding.WAITING):
            return "The model is encoding the image; the mask will appear."
        if not situation.has_model:
            return "The model is loading; the mask will appear."
        return "Point at the object: the mask will appear."
    if situation.refined and situation.tool in (None, "click"):
        return "3. Missing something? Click it. Too much? Shift+click. Two objects? Click each, then Split."
    correcting = "Missing something? Click it. Too much? Shift+click there."
    if situation.tool is not None:
        correcting = CORRECTING.get(situation.tool, correcting)
    if situation.one_each and situation.tool in ("click", "box", "polygon", "ellipse"):
        return f"3. {POINTING[situation.tool]} Too much? Shift+click there corrects the newest object."
    key = f" ({situation.next_object_key})" if situation.next_object_key else ""
    earlier = " Earlier ones: list, or Pick." if situation.objects > 1 else ""
    return f"3. {correcting} Done? Next object{key}.{earlier}"
