"""The panel's choosers of layers hold layers, whatever they are called."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.mark.parametrize("which", [0, 1])
def test_images_that_get_one_name_stay_chosen(open_panel, discs, which):
    panel = open_panel()
    pixels = np.zeros((40, 60), np.uint8)
    images = [panel.viewer.add_image(pixels, name=name) for name in ("first", "second")]
    panel.image.layer = images[which]
    chosen = []
    panel.image.changed.connect(chosen.append)
    for image in images:
        image.name = "renamed"
    assert panel.image.layer is panel.canvas.image is images[which]
    assert chosen == []
    # to write over a name, and to take it back
    images[which].name = "second"
    assert panel.canvas.image is images[which]
    assert panel.image._combo.native.currentText() == images[which].name


def test_layers_of_one_name_are_all_offered(open_panel, discs):
    panel = open_panel()
    pixels = np.zeros((40, 60), np.uint8)
    first, second = (panel.viewer.add_image(pixels, name=name) for name in ("first", "second"))
    with panel.viewer.layers.events.blocker(), second.events.name.blocker():
        second._name = "first"  # as between the two events of a renaming
    panel.image.reset_choices()
    assert set(panel.image._combo.choices) - {None} == {first, second}
