from __future__ import annotations

import inspect

import pytest

from napari_samv1 import AutomaticSettings, segment_everything


def test_the_function_and_the_record_have_the_same_settings_and_defaults():
    parameters = inspect.signature(segment_everything).parameters
    defaults = vars(AutomaticSettings())
    assert {name: parameters[name].default for name in defaults} == defaults
    assert list(parameters)[2 : 2 + len(defaults)] == list(defaults)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"mode": "all"}, "mode must be one of auto, seeds, grid"),
        ({"sizing": "square"}, "sizing must be one of native"),
        ({"detail": 0}, "detail must be"),
        ({"detail": "high"}, "detail must be"),
        ({"points_per_side": 2.5}, "points_per_side must be a whole number of 1 or more"),
        ({"crop_n_layers": -1}, "crop_n_layers must be a whole number of 0 or more"),
        ({"pred_iou_thresh": float("nan")}, "pred_iou_thresh must be a finite number"),
        ({"stability_score_offset": -1}, "stability_score_offset must be 0 or more"),
        ({"crop_overlap_ratio": 1}, "crop_overlap_ratio must be 0 or more, below 1"),
        ({"sizing": "padded", "detail": 0.5}, "leave detail at its default"),
        ({"crop_n_layers": 1, "detail": 0.5}, "leave detail at its default"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changed, why):
    with pytest.raises(ValueError, match=why):
        AutomaticSettings(**changed)


def test_whole_numbers_may_come_as_floats_as_from_toml():
    settings = AutomaticSettings(points_per_side=8.0, pred_iou_thresh=1)
    assert (settings.points_per_side, settings.pred_iou_thresh) == (8, 1.0)
    assert type(settings.points_per_side) is int
    assert type(settings.pred_iou_thresh) is float
