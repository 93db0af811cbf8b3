"""View 7: the magic wand beside the network's masks."""

from __future__ import annotations

import numpy as np

from napari_samv1.app.worker import Ticket
from napari_samv1.widgets.inspect.scene import Look, Memory, Scene, Seen
from napari_samv1.widgets.inspect.view import View

COLOURS: dict[int | None, str] = {1: "#009e73", 2: "#e69f00", 3: "#56b4e9"}


class WandView(View):
    title = "Sam against the wand"
    about = "The magic wand, which floods pixels of similar colour, beside Sam's masks for the same click."
    needs_prompts = True
    live = True

    def __init__(self) -> None:
        super().__init__()
        self.tolerance = self.whole(
            "Tolerance", 0, 255, 24, "Largest difference of a pixel to the clicked one, of 255"
        )

    def look(self) -> Look:
        tolerance = self.tolerance.value()

        def look(scene: Scene, memory: Memory, ticket: Ticket) -> Seen:
            from napari_samv1.inspection import Cells, magic_wand, mask_difference, overlap
            from napari_samv1.layers.inspection import Picture

            assert scene.prompts is not None
            prediction = scene.predictor.answer(scene.encoded(memory, ticket), scene.prompts)
            seen = memory.recall(("pixels", scene.key), lambda: scene.seen)
            wand = magic_wand(
                seen.pixels, scene.focus_yx, tolerance, intensity=seen.intensity, gamma=seen.gamma
            )
            masks = prediction.masks()
            stack = np.stack([mask_difference(wand, mask) for mask in masks])
            overlaps = [overlap(wand, mask) for mask in masks]
            captions = tuple(
                f"mask {i} (predicted IoU {prediction.iou[i]:.2f}): {int(mask.sum())} pixels, overlaps with "
                f"the wand by {overlaps[i]:.0%}"
                for i, mask in enumerate(masks)
            )
            best = prediction.best()
            picture = Picture(
                "wand and Sam",
                stack,
                Cells.of_pixels(wand.shape),
                ("mask",),
                captions,
                colours=COLOURS,
                start=best,
            )
            sentence = (
                f"Orange: the wand alone; blue: Sam alone; green: both. The wand took {int(wand.sum())} "
                f"pixels that are connected to the click and differ from it by at most {tolerance} of 255; "
                f"it overlaps with mask {best}, which Sam would choose, by {overlaps[best]:.0%}. The slider "
                "goes through Sam's four masks."
            )
            return Seen(sentence, {"wand": picture})

        return look
