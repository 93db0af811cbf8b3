"""Make the pictures of docs/inspect.md from the real application: the coins, a click, every view.

    python scripts/inspect_pictures.py [--model NAME_OR_PATH] [--theme dark|light] [--output FOLDER]

Needs a display; on Linux without one run it under ``xvfb-run -a -s "-screen 0 1400x900x24"``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import napari
from PIL import Image
from window import is_answered, settle, wait_for

from napari_samv1.layers.samples import coins
from napari_samv1.widgets.inspect.dock import InspectModel
from napari_samv1.widgets.launch import dock

OUTPUT = Path(__file__).parent.parent / "docs" / "images"
COIN_YX = (126, 153)
WINDOW = (1380, 860)

# name of the picture, number of the view, and what to choose in it
PICTURES: list[tuple[str, int, dict[str, int]]] = [
    ("positions", 0, {"kind": 0, "height_spin": 38, "width_spin": 48}),
    ("blocks", 1, {"kind": 0}),
    ("colours", 1, {"kind": 3}),
    ("windows", 2, {"window": 2}),
    ("stability", 3, {"kind": 0}),
    ("attention", 4, {"kind": 0, "block": 7}),
    ("decoder", 4, {"kind": 1}),
    ("similarity", 5, {"kind": 1}),
    ("wand", 6, {}),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny", help="a known model or a checkpoint file")
    parser.add_argument("--theme", default="dark", choices=["dark", "light"])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)

    viewer = napari.Viewer(show=True)
    viewer.theme = chosen.theme
    viewer.window.resize(*WINDOW)
    for data, options, _ in coins():
        viewer.add_image(data, **options)
    panel = dock(viewer, model=chosen.model, device="cpu")
    widget = InspectModel(viewer)
    docked = viewer.window.add_dock_widget(widget, name="Inspect model", area="right", tabify=True)
    docked.raise_()
    panel.canvas.points.add(COIN_YX)
    wait_for(lambda: is_answered(panel))
    # the mask itself would lie over what the views show
    panel.canvas.labels.visible = False
    viewer.reset_view()
    for name, number, options in PICTURES:
        widget.chooser.setCurrentIndex(number)
        choose(widget.view, options)
        widget.look_button.click()
        wait_for(lambda: not widget._worker.busy)
        settle(3)
        if widget.message.text():
            raise RuntimeError(f"{name}: {widget.message.text()}")
        path = chosen.output / f"inspect-{name}.png"
        pixels = viewer.screenshot(canvas_only=False, flash=False)
        # 256 colours are enough for a page, and half the bytes
        picture = Image.fromarray(pixels).convert("RGB")
        picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, optimize=True)
        print(path, widget.sentence.text(), sep="\n")
    viewer.close()


def choose(view: Any, options: dict[str, int]) -> None:
    """Set a view's options as a person does."""
    for name, value in options.items():
        if name == "kind":
            view.kind.setCurrentIndex(value)
        elif name == "window":
            for spin in view.windows:
                spin.setValue(value)
        else:
            getattr(view, name).setValue(value)


if __name__ == "__main__":
    main()
