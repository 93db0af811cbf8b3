"""What the model sees in napari, and what `napari-samv1 segment` has it see of the same file: equal bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from napari_samv1 import Predictor, load_model
from napari_samv1.batch.composite import Composite, open_for
from napari_samv1.batch.settings import SegmentSettings, SettingsError
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.cli import main
from napari_samv1.engine.automatic.everything import in_regions
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.for_files import as_seen
from napari_samv1.layers.ome_tiff import open_file
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.sight import Sight
from small_model import CONFIG, picture, random_model

HW = (90, 130)
ALL = AutomaticSettings(
    mode="grid", points_per_side=3, pred_iou_thresh=0, stability_score_thresh=0, detail=1.0
)


@pytest.fixture
def file(tmp_path):
    """Four slices of two channels."""
    pixels = [
        [picture(*HW, seed=2 * z + c)[..., 0].astype(np.uint16) * 16 for c in range(2)] for z in range(4)
    ]
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(path, np.array(pixels), ome=True, photometric="minisblack", metadata={"axes": "ZCYX"})
    return path


@pytest.fixture
def binding(viewer, file):
    first, second = open_file(viewer, file)
    first.contrast_limits, second.contrast_limits = (100, 3000), (0, 4000)
    binding = AnnotationBinding(viewer)
    binding.image = first
    viewer.dims.set_point(0, 2)
    yield binding
    binding.close()


def in_napari(binding, settings=None):
    """The displayed plane, and the settings for files."""
    plane = binding.screen.plane()
    given = SegmentSettings() if settings is None else settings
    return plane, as_seen(given, plane, binding.image, binding.viewer.layers)


def assert_same_bits(binding, file):
    plane, settings = in_napari(binding)
    settings = SegmentSettings.from_toml(settings.to_toml())
    predictor = Predictor(random_model())
    # the limits of all images are those of the file's
    here = plane.view(predictor).pixels
    opened = open_for(file, settings)
    [there] = [
        Composite(opened, own, settings.composite).for_model(predictor.model)
        if settings.composite
        else predictor.on_image(opened.source, intensity=settings.intensity, plane=own).pixels
        for own in opened.planes
        if own.index[0] == 2
    ]
    for window in ((0, 0, *HW), (20, 40, 64, 64)):
        one, other = here.prepared(window), there.prepared(window)
        assert torch.equal(one.pixels_bchw, other.pixels_bchw)
        assert one.key.limits == other.key.limits
    return settings


@pytest.mark.parametrize("channels", ["layer", "visible"])
@pytest.mark.parametrize("limits", ["displayed", "plane", "fixed"])
@pytest.mark.parametrize("gamma", [1.0, 0.6])
def test_a_channel_or_all_are_seen_alike_between_any_limits(binding, file, channels, limits, gamma):
    first, second = binding.viewer.layers
    second.blending, second.opacity, first.gamma = "additive", 0.8, gamma
    second.colormap, first.colormap = "viridis", "bop orange"
    binding.image = second
    binding.screen.sight = Sight(channels, limits, percentiles=(2, 98), fixed=(50, 3500))
    settings = assert_same_bits(binding, file)
    numbers = [one.channel for one in settings.composite] or [settings.channel]
    assert numbers == ([0, 1] if channels == "visible" else [1])


def test_channels_are_known_by_their_place_in_the_file_whatever_order_they_have_in_napari(binding, file):
    layers = binding.viewer.layers
    binding.screen.sight = Sight("visible")
    layers.move(1, 0)
    assert [one.channel for one in assert_same_bits(binding, file).composite] == [1, 0]
    layers[0].visible = False
    assert [one.channel for one in assert_same_bits(binding, file).composite] == [0]


def test_the_command_finds_in_each_slice_what_napari_finds(binding, file, tmp_path):
    checkpoint = tmp_path / "random.pt"
    torch.save(to_published(random_model().network.state_dict(), CONFIG), checkpoint)
    binding.screen.sight = Sight("visible", "plane")
    plane, settings = in_napari(binding, SegmentSettings(str(checkpoint), "cpu", automatic=ALL))
    (tmp_path / "mine.toml").write_text(settings.to_toml(), encoding="utf-8")
    cache = str(tmp_path / "cache")
    words = ["segment", str(file), "--output", str(tmp_path), "--settings", str(tmp_path / "mine.toml")]
    assert main([*words, "--cache", cache]) == 0
    labels = tifffile.imread(tmp_path / "cells.tif")
    assert labels.shape == (4, *HW)
    expected = in_regions(
        plane.view(Predictor(load_model(checkpoint, device="cpu"))), ALL, None, None
    ).labels()
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(labels[2], expected)
    # kept embeddings of one slice are none of another's
    (tmp_path / "cells.tif").unlink()
    assert main([*words, "--cache", cache]) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "cells.tif"), labels)
    # arranged whole, each slice is composed once
    arranged = replace(settings, automatic=replace(ALL, sizing="padded", detail="auto"))
    (tmp_path / "mine.toml").write_text(arranged.to_toml(), encoding="utf-8")
    assert main(words) == 0
    assert tifffile.imread(tmp_path / "cells.tif").any()


def test_what_no_file_shows_is_refused_in_a_sentence(binding, viewer, file, tmp_path):
    binding.screen.sight = Sight("visible", "stack")
    with pytest.raises(SettingsError, match="press Encode first"):
        in_napari(binding)
    binding.screen.sight = Sight("visible")
    viewer.add_image(np.zeros((4, *HW), np.uint16))
    with pytest.raises(SettingsError, match="not known to be of one file"):
        in_napari(binding)
    viewer.layers.pop()
    binding.image.projection_mode = "max"
    viewer.dims.margin_left = viewer.dims.margin_right = (1, 0, 0)
    with pytest.raises(SettingsError, match="slice by slice"):
        in_napari(binding)


def test_a_file_without_the_channels_is_a_sentence(binding, tmp_path, capsys):
    binding.screen.sight = Sight("visible")
    (tmp_path / "mine.toml").write_text(in_napari(binding)[1].to_toml(), encoding="utf-8")
    np.save(tmp_path / "grey.npy", np.zeros(HW, np.uint8))
    words = ["segment", str(tmp_path / "grey.npy"), "--output", str(tmp_path / "out")]
    assert main([*words, "--settings", str(tmp_path / "mine.toml")]) == 1
    assert "has no channel axis: its axes are YX" in capsys.readouterr().out
