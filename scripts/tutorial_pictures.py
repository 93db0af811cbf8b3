"""Make pictures for the documentation from the real application: everything, a slide zoomed in, two channels.

    python scripts/tutorial_pictures.py [--output FOLDER]

Needs a display; on Linux without one run it under ``xvfb-run -a -s "-screen 0 1400x900x24"``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget
from skimage.color import rgb2hed
from window import is_answered, settle, wait_for

from napari_samv1.layers.on_screen import camera_of
from napari_samv1.records.sight import Sight
from napari_samv1.widgets.launch import dock
from napari_samv1.widgets.panel.panel import SegmentAnythingPanel

OUTPUT = Path(__file__).parent.parent / "docs" / "images"
WINDOW = (1380, 880)

CELL_YX = (20_088, 12_127)
ZOOM = 1.2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=OUTPUT)
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)

    viewer, panel = opened("coins")
    wait_for(lambda: panel.app.state.model.is_loaded)
    press(panel.everything_part.header)
    press(panel.everything.begin)
    wait_for(panel.everything.begin.isEnabled)
    wait_for(panel.everything.accept.isEnabled)
    shoot(viewer, panel, panel.everything, folder / "everything.png")
    viewer.close()

    viewer, panel = opened("slide")
    wait_for(lambda: panel.app.state.model.is_loaded)
    camera = camera_of(viewer)
    camera.center, camera.zoom = CELL_YX, ZOOM
    settle(1.0)
    assert panel.canvas.points is not None
    panel.canvas.points.add(CELL_YX)
    settle()
    wait_for(lambda: is_answered(panel))
    press(panel.settings.regions)
    settle(2.0)
    shoot(viewer, panel, panel.settings.detail_row, folder / "slide.png")
    viewer.close()

    viewer, panel = opened("tissue")
    tissue = viewer.layers[0]
    nuclei, _, stain = np.moveaxis(rgb2hed(tissue.data), -1, 0)
    viewer.layers.clear()
    for name, own, colour in (("nuclei", nuclei, "bop blue"), ("stain", stain, "bop orange")):
        viewer.add_image(
            own,
            name=name,
            colormap=colour,
            blending="additive",
            contrast_limits=(0, np.percentile(own, 99.5)),
        )
    panel.image.layer = viewer.layers["nuclei"]
    panel.sight = Sight(channels="visible", limits="stack", percentiles=(1, 99.8))
    viewer.reset_view()
    press(panel.sight_part.header)
    wait_for(lambda: panel.app.state.model.is_loaded)
    press(panel.encoding.encode)
    wait_for(lambda: not panel.app.busy)
    shoot(viewer, panel, panel.seen, folder / "channels.png")
    viewer.close()


def opened(sample: str) -> tuple[Any, SegmentAnythingPanel]:
    """A window with a sample image and the panel."""
    # nothing of the last window is offered back in this one
    os.environ["NAPARI_SAMV1_STATE"] = tempfile.mkdtemp(prefix="napari-samv1-pictures-")
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW)
    viewer.open_sample("napari-samv1", sample)
    panel = dock(viewer, model="tiny", device="cpu")
    settle()
    viewer.reset_view()
    settle()
    return viewer, panel


def press(button: QWidget) -> None:
    """Click on a button."""
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    settle()


def shoot(viewer: Any, panel: SegmentAnythingPanel, part: QWidget, file: Path) -> None:
    """Scroll the panel to a part of it, and take a picture of the window."""
    panel.ensureWidgetVisible(part)
    settle()
    viewer.screenshot(str(file), canvas_only=False, flash=False)
    print(file)


if __name__ == "__main__":
    main()
