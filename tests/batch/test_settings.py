from __future__ import annotations

import tomllib
from dataclasses import fields

import pytest

from napari_samv1.batch.settings import SegmentSettings, SettingsError
from napari_samv1.records.automatic import AutomaticSettings

CHANGED = SegmentSettings(
    model='mine "v2".pt',
    channel=1,
    plane=(0, 3),
    intensity=(10, 200.5),
    formats=("csv", "tif"),
    automatic=AutomaticSettings(mode="grid", sizing="padded", detail="whole", points_per_side=7),
)


@pytest.mark.parametrize("settings", [SegmentSettings(), CHANGED])
def test_settings_come_out_of_toml_as_they_went_in(settings):
    assert SegmentSettings.from_toml(settings.to_toml()) == settings


def test_every_setting_that_is_set_stands_in_the_file():
    written = tomllib.loads(CHANGED.to_toml())
    assert set(written["automatic"]) == {own.name for own in fields(AutomaticSettings)}
    assert set(written) == {own.name for own in fields(SegmentSettings)}


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
    ],
)
def test_what_means_nothing_is_refused_by_name(text, why):
    with pytest.raises(SettingsError, match=f"mine.toml.*{why}"):
        SegmentSettings.from_toml(text, "mine.toml")
