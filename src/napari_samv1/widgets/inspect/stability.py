"""View 4: stability of the masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_samv1.app.worker import Ticket
from napari_samv1.widgets.inspect.plot import Curve, PlotData
from napari_samv1.widgets.inspect.scene import Look, Memory, Scene, Seen
from napari_samv1.widgets.inspect.view import View

if TYPE_CHECKING:
    from napari_samv1.engine.prediction import Prediction

THRESHOLDS, DETAIL = range(2)
KINDS = ("thresholds", "less detail in the image")
CANDIDATES = ("the chosen one", "mask 0", "mask 1", "mask 2", "mask 3")
BAND = "#e69f00"
FIRM = 0.9


class StabilityView(View):
    title = "Mask stability"
    about = "The four masks for the current prompts, at other thresholds and with less detail in the image."
    needs_prompts = True

    def __init__(self) -> None:
        super().__init__()
        self.kind = self.choice("Show", KINDS)
        self.candidate = self.choice("Band of", CANDIDATES)
        self.low = self.number("From", -30, 30, -1.0, "The band's lower threshold")
        self.high = self.number("To", -30, 30, 1.0, "The band's upper threshold")
        self.offset = self.number(
            "Offset", 0, 20, 1.0, "Distance by which the score moves the threshold up and down"
        )
        self.kind.currentIndexChanged.connect(self._follow_kind)

    def is_live(self) -> bool:
        return self.kind.currentIndex() == THRESHOLDS

    def look(self) -> Look:
        kind, offset = self.kind.currentIndex(), self.offset.value()
        low, high = sorted((self.low.value(), self.high.value()))
        candidate = self.candidate.currentIndex() - 1

        def look(scene: Scene, memory: Memory, ticket: Ticket) -> Seen:
            assert scene.prompts is not None
            if kind == DETAIL:
                return _less_detail(scene, ticket)
            prediction = scene.predictor.answer(scene.encoded(memory, ticket), scene.prompts)
            index = prediction.best() if candidate < 0 else candidate
            return _thresholds(prediction, index, low, high, offset)

        return look

    def _follow_kind(self) -> None:
        by_threshold = self.kind.currentIndex() == THRESHOLDS
        for field in (self.candidate, self.low, self.high, self.offset):
            self.show_row(field, by_threshold)


def _thresholds(prediction: Prediction, index: int, low: float, high: float, offset: float) -> Seen:
    from napari_samv1.inspection import Cells, stability_by_offset, stability_by_threshold, threshold_band
    from napari_samv1.layers.inspection import Picture

    stability = prediction.stability(offset=offset)
    captions = tuple(
        f"mask {i}: predicted IoU {prediction.iou[i]:.2f}, stability {stability[i]:.2f}" for i in range(4)
    )
    band = threshold_band(prediction, index, low, high)
    logits = prediction.logits
    # a percentile, because a few extreme pixels would use up the contrast
    reach = max(2.0, float(np.percentile(np.abs(logits), 98)))
    pictures = {
        "logits": Picture(
            "logits of the four masks",
            logits,
            Cells.of_logits(prediction.frame),
            ("mask",),
            captions,
            contrast=(-reach, reach),
            colormap="PiYG",
            start=index,
        ),
        "band": Picture(
            "band of thresholds", band.astype(np.uint8), Cells.of_pixels(band.shape), colours={1: BAND}
        ),
    }
    thresholds, offsets = np.linspace(-8, 8, 33), np.linspace(0, 8, 33)
    by_threshold = stability_by_threshold(prediction, thresholds, offset)
    by_offset = stability_by_offset(prediction, offsets)
    plots = (
        PlotData(
            f"Stability by threshold, offset {offset:g}",
            "threshold",
            tuple(Curve.through(f"mask {i}", thresholds, by_threshold[i]) for i in range(4)),
            (low, high),
        ),
        PlotData(
            "Stability by offset, threshold 0",
            "offset",
            tuple(Curve.through(f"mask {i}", offsets, by_offset[i]) for i in range(4)),
            (offset,),
        ),
    )
    sentence = (
        "Green where the network says mask, pink where it says no; the slider goes through the four masks. "
        f"The orange band of mask {index} has the {int(band.sum())} pixels that a threshold between {low:g} "
        f"and {high:g} decides. A firm mask has a thin band and a flat curve near 1: its score is the area "
        "above threshold + offset, divided by the area above threshold - offset."
    )
    return Seen(sentence, pictures, plots)


def _less_detail(scene: Scene, ticket: Ticket) -> Seen:
    from napari_samv1.inspection import Cells, masks_when_downscaled
    from napari_samv1.layers.inspection import Picture

    assert scene.prompts is not None
    seen = masks_when_downscaled(
        scene.predictor, scene.pixels(), scene.prompts, **scene.display, on_progress=ticket.count
    )
    captions = tuple(
        f"image at {scale:.0%}: overlaps with the whole image's mask by {iou:.0%}"
        for scale, iou in zip(seen.scales, seen.overlaps_s, strict=True)
    )
    pictures = {
        "less detail": Picture(
            "masks with less detail",
            seen.masks_shw.astype(np.uint8),
            Cells.of_pixels(scene.shape_yx),
            ("scale",),
            captions,
            colours={1: "#56b4e9"},
            opacity=0.6,
        )
    }
    changed = [scale for scale, iou in zip(seen.scales, seen.overlaps_s, strict=True) if iou < FIRM]
    firm = min(scale for scale in seen.scales if scale > max(changed, default=0.0))
    plot = PlotData(
        "Overlap with the whole image's mask",
        "scale of the image before encoding",
        (Curve.through("IoU", seen.scales, seen.overlaps_s, tuple(range(len(seen.scales)))),),
    )
    sentence = (
        "The mask for the same prompts, with the image shrunk before encoding; the slider goes from "
        f"{seen.scales[0]:.0%} to {seen.scales[-1]:.0%} of its size. From {firm:.0%} on the mask overlaps "
        f"with that of the whole image by {FIRM:.0%} or more: the network needs that much detail "
        "here."
    )
    return Seen(sentence, pictures, (plot,))
