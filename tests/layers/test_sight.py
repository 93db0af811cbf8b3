"""What the model sees of several layers: compared with napari's own picture of them."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samv1.images.hashing import hash_pixels
from napari_samv1.layers import image as image_module
from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.sight import ImageSight
from napari_samv1.records.display import GREY, Display, Paint
from napari_samv1.records.sight import Sight

VISIBLE = Sight(channels="visible")
HW = (24, 32)


def ramp(down: float, right: float, dtype: type = np.uint16) -> np.ndarray:
    y, x = np.mgrid[: HW[0], : HW[1]]
    return (y * down + x * right).astype(dtype)


@pytest.fixture
def viewer():
    return ViewerModel()


class Seen:
    """What the model sees of an image, and how often a change of it was told."""

    def __init__(self, viewer, image, sight=VISIBLE):
        self.viewer, self.image, self.told = viewer, image, 0
        self.sight = ImageSight(viewer, self._tell)
        self.sight.sight = sight
        self.told = 0

    def _tell(self):
        self.told += 1

    @property
    def plane(self):
        return self.sight.complete(displayed_plane(self.viewer, self.image), self.image)

    @property
    def names(self):
        return [name for name, _ in self.plane.seen.limits]


LAYERS = {
    "additive colours": [
        {"colormap": "green", "blending": "additive", "contrast_limits": (0, 700)},
        {"colormap": "magenta", "blending": "additive", "contrast_limits": (100, 400), "gamma": 0.6},
    ],
    "a colormap of many colours under another": [
        {"colormap": "viridis", "contrast_limits": (0, 900)},
        {"colormap": "I Orange", "blending": "minimum", "contrast_limits": (0, 600)},
    ],
    "half transparent": [
        {"colormap": "gray", "contrast_limits": (0, 800)},
        {"colormap": "red", "opacity": 0.4, "contrast_limits": (0, 500)},
    ],
    "multiplied": [
        {"colormap": "yellow", "contrast_limits": (0, 500)},
        {"colormap": "cyan", "blending": "multiplicative", "contrast_limits": (0, 500)},
    ],
    "the lowest is half transparent": [
        {"colormap": "green", "blending": "additive", "opacity": 0.5, "contrast_limits": (0, 700)},
        {"colormap": "red", "blending": "additive", "opacity": 0.7, "contrast_limits": (0, 500)},
    ],
    "the lowest is drawn by its minimum, whatever its opacity": [
        {"colormap": "I Blue", "blending": "minimum", "opacity": 0.5, "contrast_limits": (0, 700)},
        {"colormap": "I Orange", "blending": "minimum", "contrast_limits": (0, 500)},
    ],
    "opaque": [
        {"colormap": "green", "contrast_limits": (0, 700)},
        {"colormap": "red", "blending": "opaque", "contrast_limits": (0, 500)},
    ],
}


@pytest.mark.parametrize("name", LAYERS)
def test_channels_are_composed_as_napari_draws_them(shared_window, name):
    viewer = shared_window.viewer()
    first, second = LAYERS[name]
    image = viewer.add_image(ramp(20, 5), **first)
    viewer.add_image(ramp(3, 18, np.float32), **second)
    viewer.add_image(ramp(50, 1), colormap="blue", visible=False)
    drawn = viewer.export_figure(scale_factor=1, flash=False)[..., :3]
    seen = Seen(viewer, image).plane.seen_pixels().pixels
    assert seen.shape == drawn.shape == (*HW, 3)
    # the screen has 8 bits too, and mixes colours in between
    np.testing.assert_allclose(seen.astype(int), drawn.astype(int), atol=4)


def test_rgb_and_grey_are_composed_as_napari_draws_them(shared_window):
    viewer = shared_window.viewer()
    rgb = np.random.default_rng(0).integers(0, 256, (*HW, 3), np.uint8)
    image = viewer.add_image(rgb, rgb=True)
    viewer.add_image(ramp(3, 18), colormap="red", blending="additive", opacity=0.5, contrast_limits=(0, 600))
    drawn = viewer.export_figure(scale_factor=1, flash=False)[..., :3]
    seen = Seen(viewer, image).plane.seen_pixels().pixels
    np.testing.assert_allclose(seen.astype(int), drawn.astype(int), atol=4)


def test_the_layer_alone_is_seen_as_it_always_was(viewer):
    image = viewer.add_image(ramp(20, 5), colormap="green", contrast_limits=(10, 500), gamma=0.5)
    viewer.add_image(ramp(1, 1))
    before = displayed_plane(viewer, image)
    seen = Seen(viewer, image, Sight())
    assert seen.plane.display_key == before.display_key
    pixels = seen.plane.seen_pixels()
    assert (pixels.intensity, pixels.gamma, pixels.display) == ((10.0, 500.0), 0.5, None)
    np.testing.assert_array_equal(pixels.pixels, image.data)


def test_one_visible_grey_layer_is_seen_as_the_layer_alone(viewer):
    image = viewer.add_image(ramp(20, 5), contrast_limits=(10, 500))
    pixels = Seen(viewer, image).plane.seen_pixels()
    assert (pixels.intensity, pixels.gamma, pixels.display) == ((10.0, 500.0), 1.0, None)


def test_only_images_that_lie_on_the_annotated_one_are_seen_with_it(viewer):
    image = viewer.add_image(np.zeros((3, *HW)), name="image", scale=(2, 1, 1))
    viewer.add_image(np.ones((3, *HW)), name="beside", scale=(2, 1, 1))
    viewer.add_image(np.ones((3, *HW)), name="elsewhere", scale=(2, 1, 1), translate=(0, 5, 0))
    viewer.add_image(np.ones((3, 2 * HW[0], HW[1])), name="finer", scale=(2, 0.5, 1))
    viewer.add_image(np.ones(HW), name="flat")
    viewer.add_image(np.ones((3, *HW)), name="hidden", scale=(2, 1, 1), visible=False)
    viewer.add_labels(np.ones((3, *HW), int), name="labels", scale=(2, 1, 1))
    assert Seen(viewer, image).names == ["image", "beside"]


def test_the_image_itself_is_seen_where_none_is_visible(viewer):
    image = viewer.add_image(ramp(20, 5), name="image", visible=False)
    seen = Seen(viewer, image)
    assert seen.names == ["image"]
    viewer.add_image(ramp(1, 1), name="beside")
    assert seen.names == ["beside"]
    # what the encoding came from can be told from the image's own pixels
    assert seen.plane.seen_pixels().display is not None


CHANGES = {
    "hidden": lambda layer: setattr(layer, "visible", False),
    "contrast": lambda layer: setattr(layer, "contrast_limits", (1, 50)),
    "gamma": lambda layer: setattr(layer, "gamma", 0.3),
    "colormap": lambda layer: setattr(layer, "colormap", "red"),
    "blending": lambda layer: setattr(layer, "blending", "minimum"),
    "opacity": lambda layer: setattr(layer, "opacity", 0.5),
    "data": lambda layer: setattr(layer, "data", layer.data + 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_a_channel_is_told_and_makes_it_stale(viewer, name):
    image = viewer.add_image(ramp(20, 5))
    other = viewer.add_image(ramp(3, 18), blending="additive")
    seen = Seen(viewer, image)
    before = seen.plane
    CHANGES[name](other)
    assert seen.told
    assert seen.plane.display_key != before.display_key
    assert (seen.plane.seen.made_of != before.seen.made_of) == (name == "hidden")
    seen.sight.close()
    told = seen.told
    other.opacity = 0.1
    assert seen.told == told


def test_layers_that_come_go_and_move_are_told(viewer):
    image = viewer.add_image(ramp(20, 5), name="image")
    seen = Seen(viewer, image)
    keys = [seen.plane.display_key]
    other = viewer.add_image(ramp(3, 18), name="other")
    keys.append(seen.plane.display_key)
    viewer.layers.move(1, 0)
    keys.append(seen.plane.display_key)
    assert seen.names == ["other", "image"]
    assert len(set(keys)) == 3
    viewer.layers.remove(other)
    assert seen.plane.display_key == keys[0]
    assert seen.told >= 3


def test_nothing_is_told_of_others_where_the_layer_alone_is_seen(viewer):
    image = viewer.add_image(ramp(20, 5))
    other = viewer.add_image(ramp(3, 18))
    seen = Seen(viewer, image, Sight())
    other.visible = False
    other.contrast_limits = (1, 2)
    assert not seen.told


# Limits


def stack(dtype=np.uint16):
    """Ten slices: slice z holds the numbers from 100 z on."""
    return (np.arange(10)[:, None, None] * 100 + ramp(2, 1)).astype(dtype)


def test_percentiles_of_a_slice_are_its_own_and_of_the_stack_are_the_same_on_all(viewer):
    image = viewer.add_image(stack(), contrast_limits=(0, 1))
    of_slices = Seen(viewer, image, Sight(limits="plane", percentiles=(0, 100)))
    of_stack = Seen(viewer, image, Sight(limits="stack", percentiles=(0, 100)))
    top = (HW[0] - 1) * 2 + HW[1] - 1
    for z in (0, 4):
        viewer.dims.set_point(0, z)
        assert of_slices.plane.seen_pixels().intensity == (100 * z, 100 * z + top)
        assert of_stack.plane.seen_pixels().intensity == (0, 900 + top)
    # what was found is known from then on, without a read
    assert of_slices.plane.seen.limits[0][1] == (400, 400 + top)


def test_the_contrast_on_the_screen_is_nothing_to_limits_that_are_found(viewer):
    image = viewer.add_image(stack())
    seen = Seen(viewer, image, Sight(limits="stack"))
    before = seen.plane.display_key
    image.contrast_limits = (3, 77)
    assert seen.plane.display_key == before
    seen.sight.sight = Sight(limits="stack", percentiles=(1, 99))
    assert seen.plane.display_key != before


def test_fixed_limits_are_known_without_a_read(viewer):
    image = viewer.add_image(stack())
    plane = Seen(viewer, image, Sight(limits="fixed", fixed=(5, 60))).plane
    assert plane.seen.limits == (("Image", (5.0, 60.0)),)
    assert plane.seen_pixels().intensity == (5.0, 60.0)


def test_each_channel_has_its_own_percentiles(viewer):
    image = viewer.add_image(ramp(20, 5), name="image")
    viewer.add_image(ramp(1, 1), name="dim", colormap="green", blending="additive")
    seen = Seen(viewer, image, Sight("visible", "plane", (0, 100)))
    assert seen.plane.seen.limits == (("image", None), ("dim", None))
    display = seen.plane.seen.display()
    assert isinstance(display, Display)
    assert [(one.low, one.high) for one in display.channels] == [(0, 23 * 20 + 31 * 5), (0, 23 + 31)]
    green = ((0, 0, 0, 1), (0, 1, 0, 1))
    assert [one.paint for one in display.channels] == [Paint(GREY), Paint(green, "additive")]


def test_each_plane_that_is_composed_is_hashed_once(viewer, monkeypatch):
    image = viewer.add_image(ramp(1, 0), contrast_limits=(0, 99))
    viewer.add_image(ramp(0, 1), contrast_limits=(0, 99), blending="additive")
    sight = ImageSight(viewer, lambda: None)
    sight.sight = Sight(channels="visible")
    hashed = []
    monkeypatch.setattr(image_module, "hash_pixels", lambda pixels: hashed.append(1) or hash_pixels(pixels))
    seen = sight.complete(displayed_plane(viewer, image), image).seen_pixels()
    assert len(hashed) == 2
    assert sorted(seen.hashes.values()) == sorted(channel.pixels for channel in seen.display.channels)
