"""Make the README's picture from the real application: coins, clicks, a box, masks.

    python scripts/readme_picture.py [--model NAME_OR_PATH] [--theme dark|light] [--output FILE]

Needs a display; on Linux without one run it under ``xvfb-run -a -s "-screen 0 1400x900x24"``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import napari
from window import is_answered, settle, wait_for

from napari_samv1.app.actions import NEXT_OBJECT
from napari_samv1.layers.samples import coins
from napari_samv1.widgets.launch import dock
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

OUTPUT = Path(__file__).parent.parent / "docs" / "images" / "coins.png"
CLICKS_YX = [(56, 101), (51, 154), (120, 270), (196, 102)]
BOX_YX = [(167, 186), (221, 240)]
WINDOW = (1360, 860)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny", help="a known model or a checkpoint file")
    parser.add_argument("--theme", default="dark", choices=["dark", "light"])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    chosen = parser.parse_args()

    viewer = napari.Viewer(show=True)
    viewer.theme = chosen.theme
    viewer.window.resize(*WINDOW)
    for data, options, _ in coins():
        viewer.add_image(data, **options)
    panel = dock(viewer, model=chosen.model, device="cpu")
    settle()  # the canvas has its final size only then
    viewer.reset_view()
    annotate(panel)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    settle()
    viewer.screenshot(str(chosen.output), canvas_only=False, flash=False)
    viewer.close()
    print(chosen.output)


def annotate(panel: SegmentAnythingPanel) -> None:
    """Click on some coins, draw a box around another, and wait for their masks."""
    app, binding = panel.app, panel.canvas
    for number, click_yx in enumerate(CLICKS_YX):
        if number:
            app.do(NEXT_OBJECT)
        assert binding.points is not None
        binding.points.add(click_yx)
        wait_for(lambda: is_answered(panel))
    app.do(NEXT_OBJECT)
    app.take_tool("box")
    assert binding.shapes is not None
    binding.shapes.add_rectangles([BOX_YX])
    wait_for(lambda: is_answered(panel))


if __name__ == "__main__":
    main()
