"""Strokes as the brush makes them, without the brush."""

from napari_samv1.annotation import edits
from napari_samv1.annotation.pieces import BrushStroke
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.records.mask_crop import MaskCrop


def paint(binding: AnnotationBinding, object_id: int, pixels: MaskCrop, *, erase: bool = False) -> None:
    """Brush pixels of the displayed plane into an object, or erase them."""
    assert binding.shown is not None
    assert binding.document is not None
    stroke = BrushStroke(binding.shown.plane, object_id, pixels, erase)
    assert binding.edits.do(edits.paint(binding.document, [stroke])) == ""
