"""Logits -> masks: resize, threshold, choose, clean, score, paint into label images."""

from napari_samv1.masks.choose import Choice, best_index
from napari_samv1.masks.clean import CleanUp
from napari_samv1.masks.covered import Covered
from napari_samv1.masks.crop import MaskCrop
from napari_samv1.masks.paint import KEEP, OVERWRITE, Painted, Painting, Patch, Rule, compose, repaint
from napari_samv1.masks.resize import Placement, resize_logits
from napari_samv1.masks.stability import stability_on_image, stability_score
from napari_samv1.masks.threshold import areas_above, threshold_crop, threshold_mask

__all__ = [
    "KEEP",
    "OVERWRITE",
    "Choice",
    "CleanUp",
    "Covered",
    "MaskCrop",
    "Painted",
    "Painting",
    "Patch",
    "Placement",
    "Rule",
    "areas_above",
    "best_index",
    "compose",
    "repaint",
    "resize_logits",
    "stability_on_image",
    "stability_score",
    "threshold_crop",
    "threshold_mask",
]
