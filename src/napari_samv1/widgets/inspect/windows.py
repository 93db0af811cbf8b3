"""View 3: other attention windows and another input size, against the trained setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSpinBox

from napari_samv1.app.worker import Ticket
from napari_samv1.widgets.inspect.scene import Look, Memory, Scene, Seen
from napari_samv1.widgets.inspect.view import View

if TYPE_CHECKING:
    from napari_samv1.inspection import TimedPrediction
    from napari_samv1.model import Sam

DIFFERENCE: dict[int | None, str] = {1: "#7f7f7f", 2: "#e69f00", 3: "#56b4e9"}


class WindowsView(View):
    title = "Window sizes"
    about = (
        "Encode again with other attention windows or at another size, and compare the current object's mask."
    )
    needs_prompts = True

    def __init__(self) -> None:
        super().__init__()
        self.side = self.whole("Longer side", 16, 4096, 1024, "In pixels, as the model sees the image")
        self.windows: list[QSpinBox] = []
        self._shown: object = None

    def show_network(self, network: Sam) -> None:
        encoder = network.image_encoder
        if network is self._shown:
            return
        self._shown = network
        for spin in self.windows:
            self.form.removeRow(spin)
        self.windows = [
            self.whole(f"Stage {number} window", 1, 32, trained, f"In tokens; trained: {trained}")
            for number, trained in enumerate(encoder.window_sizes, start=1)
        ]
        self.side.setSingleStep(encoder.patch)
        self.side.setMinimum(encoder.patch)

    def show_side(self, side: int) -> None:
        """Begin with the trained size of the input."""
        self.side.setValue(side)

    def look(self) -> Look:
        side, sizes = self.side.value(), tuple(spin.value() for spin in self.windows)

        def look(scene: Scene, memory: Memory, ticket: Ticket) -> Seen:
            from napari_samv1.inspection import predict_with_windows

            assert scene.prompts is not None
            pixels, model = scene.pixels(), scene.predictor.model
            patch = model.config.patch
            # a square input must be whole patches; other inputs are rounded later
            whole_side = max(patch, side // patch * patch)
            windows = sizes or model.network.image_encoder.window_sizes
            common = {**scene.display, "on_progress": ticket.count}
            # both are timed now, so that the machine's load is the same
            trained = predict_with_windows(scene.predictor, pixels, scene.prompts, **common)
            changed = predict_with_windows(
                scene.predictor, pixels, scene.prompts, window_sizes=windows, side=whole_side, **common
            )
            return _compared(trained, changed)

        return look


def _compared(trained: TimedPrediction, changed: TimedPrediction) -> Seen:
    from napari_samv1.inspection import Cells, mask_difference, overlap
    from napari_samv1.layers.inspection import Picture

    prediction = changed.prediction
    index = prediction.best()
    before = trained.prediction.mask(trained.prediction.best())
    after = prediction.mask(index)
    pixels = Cells.of_pixels(after.shape)
    pictures = {
        "logits": Picture(
            "logits, changed windows",
            prediction.logits[index],
            Cells.of_logits(prediction.frame),
            contrast=(-10.0, 10.0),
            colormap="PiYG",
            visible=False,
        ),
        "mask": Picture(
            "mask, changed windows", after.astype("uint8"), pixels, colours={1: "#56b4e9"}, visible=False
        ),
        "difference": Picture(
            "difference to trained windows", mask_difference(before, after), pixels, colours=DIFFERENCE
        ),
    }
    sentence = (
        "Grey: in both masks; orange: only with the trained setting; blue: only with the changed one. They "
        f"overlap by {overlap(before, after):.0%}. Windows {_sizes(changed)} at {changed.side} pixels took "
        f"{changed.seconds:.2f} s (encoding {changed.encode_seconds:.2f} s, decoding "
        f"{changed.decode_seconds:.2f} s), the trained {_sizes(trained)} at {trained.side} pixels "
        f"{trained.seconds:.2f} s ({trained.encode_seconds:.2f} s and {trained.decode_seconds:.2f} s). Mask "
        "and logits are in layers of their own: switch them on with the eye."
    )
    return Seen(sentence, pictures)


def _sizes(timed: TimedPrediction) -> str:
    return ", ".join(str(size) for size in timed.window_sizes)
