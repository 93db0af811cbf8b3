from __future__ import annotations

import tomllib
from dataclasses import fields

import numpy as np
import pytest

from napari_samv1.batch.settings import ChannelSettings, SegmentSettings, SettingsError
from napari_samv1.records.automatic import AutomaticSettings

CHANGED = SegmentSettings(
    model='mine "v2".pt',
    channel=1,
    plane=(0, 3),
    intensity=(10, 200.5),
    formats=("csv", "tif"),
    automatic=AutomaticSettings(mode="grid", sizing="padded", detail="whole", points_per_side=7),
)


COMPOSITE = SegmentSettings(
    composite=(
        ChannelSettings(1, (100, 4000), colours=((0, 0, 0, 1), (0.1, 1, 0, 1)), opacity=0.7),
        ChannelSettings(0, percentiles=(1, 99.5), gamma=0.5, blending="additive"),
    )
)


@pytest.mark.parametrize("settings", [SegmentSettings(), CHANGED, COMPOSITE])
def test_settings_come_out_of_toml_as_they_went_in(settings):
    assert SegmentSettings.from_toml(settings.to_toml()) == settings


def test_every_setting_that_is_set_stands_in_the_file():
    written = tomllib.loads(CHANGED.to_toml())
    assert set(written["automatic"]) == {own.name for own in fields(AutomaticSettings)}
    assert set(written) == {own.name for own in fields(SegmentSettings)} - {"composite"}
    first, second = tomllib.loads(COMPOSITE.to_toml())["composite"]
    every = {own.name for own in fields(ChannelSettings)}
    assert (set(first), set(second)) == (every - {"percentiles"}, every - {"limits"})


def test_what_a_file_leaves_out_is_as_by_default():
    settings = SegmentSettings.from_toml("[automatic]\npred_iou_thresh = 0.5\n")
    assert settings == SegmentSettings(automatic=AutomaticSettings(pred_iou_thresh=0.5))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("colour = 1", "there is no setting colour; there are model"),
        ("[automatic]\nsides = 1", "there is no setting sides; there are mode"),
        ("channel = -1", "channel must be"),
        ("formats = ['bmp']", "formats must be some of tif"),
        ("intensity = 'bright'", "intensity must be"),
        ("intensity = [1, 2, 3]", "two numbers"),
        ("[automatic]\nmode = 'all'", "mode must be one of auto"),
        ("[automatic]\npoints_per_side = 0", "points_per_side must be a whole number"),
        ("[automatic]\npred_iou_thresh = 'high'", "pred_iou_thresh must be a finite number"),
        ("[automatic]\ndetail = -1", "detail must be"),
        ("automatic = 3", "automatic must be a table"),
        ("mode = [", "is no TOML"),
        ("composite = 3", "composite must be tables"),
        ("[[composite]]\ncolour = 1", "there is no setting colour; there are channel, limits"),
        ("[[composite]]\nchannel = 0.5", "channel must be a whole number"),
        ("[[composite]]\nlimits = [9, 1]", "limits must be the lower one first"),
        ("[[composite]]\nopacity = 2", "opacity must be in 0..1"),
        ("[[composite]]\ncolours = [[0, 0, 0]]", "two or more colours"),
        ("[[composite]]\n[[composite]]\nchannel = 1", "needs its number"),
        ("model = 3", "model must be text, got 3"),
        ("device = 2020-01-01", "device must be text"),
        ("formats = [1]", "formats must be some of tif"),
        ("formats = 3", "formats must be a list"),
        ("formats = 'tif'", "formats must be a list"),
        ("plane = 3.5", "plane must be whole numbers from 0 on, got 3.5"),
        ("model = ''", "model must be text"),
        ("[[composite]]\npercentiles = [-5, 200]", "percentiles must lie between 0 and 100"),
        ("intensity = [true, 5]", "two numbers"),
        ("intensity = [10, 5]", "intensity must be the lower one first"),
        ("[automatic]\nmax_area = inf", "max_area must be a whole number"),
        ("[automatic]\nmin_area = nan", "min_area must be a whole number"),
        ("[[composite]]\ncolours = [1, 2]", "two or more colours"),
        ("channel = 1\n[[composite]]\nchannel = 1", "leave channel and intensity out"),
    ],
)
def test_what_means_nothing_is_refused_by_name(text, why):
    with pytest.raises(SettingsError, match=f"mine.toml.*{why}"):
        SegmentSettings.from_toml(text, "mine.toml")


def test_limits_may_be_numbers_of_numpy():
    assert SegmentSettings(intensity=(np.float64(1), np.float64(9))).intensity == (1.0, 9.0)
