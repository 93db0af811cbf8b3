"""The next step, as a sentence: what a first-time user needs to read, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass

from napari_samv1.widgets.encoding_bar import Encoding


@dataclass(frozen=True)
class Situation:
    """What the guide looks at."""

    has_image: bool
    has_model: bool
    encoding: Encoding
    tool: str | None  # "click", "box", or None when the canvas isn't listening
    prompts: int
    has_mask: bool
    next_object_key: str
    in_3d: bool = False
    wants_download: bool = False


def next_step(situation: Situation) -> str:
    """One short sentence that says what to do now."""
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
    if situation.prompts == 0:
        if situation.tool == "click":
            return "2. Click on an object in the image."
        if situation.tool == "box":
            return "2. Drag a rectangle around an object."
        return "2. Press Click or Box, then point at an object in the image."
    if not situation.has_mask:
        if situation.encoding in (Encoding.ENCODING, Encoding.WAITING):
            return "The model is looking at the image; the mask follows by itself."
        if not situation.has_model:
            return "The model is being loaded; the mask follows by itself."
        return "Point at the object: the mask follows."
    key = f" ({situation.next_object_key})" if situation.next_object_key else ""
    return f"3. Something missing? Click it. Too much? Shift+click there. Fine? Next object{key}."
