"""What a mask's evidence is worth."""

import pytest

from napari_samv1.records.calibration import Calibration, Evidence


def test_by_default_the_predicted_iou_is_the_quality():
    assert Calibration().quality(Evidence(0.7, 0.2, seed=0.1)) == 0.7
    assert Calibration().quality(Evidence(0.7, 0.2), by_region=True) == 0.7


def test_each_piece_of_evidence_has_its_factor_and_the_sum_stays_in_0_to_1():
    some = Calibration(click=(0.1, 0.0, 0.5, 0.0, 0.0, 0.0, -0.2, 0.0), region=(2.0,) + (0.0,) * 7)
    assert some.quality(Evidence(0.9, 0.4, crossing=0.5)) == pytest.approx(0.1 + 0.2 - 0.1)
    assert some.quality(Evidence(0.9, 0.4), by_region=True) == 1.0
    assert some.quality(Evidence(0.9, 0.0, crossing=1.0)) == 0.0


def test_a_wrong_number_of_factors_is_refused():
    with pytest.raises(ValueError, match="click must hold 8 numbers"):
        Calibration(click=(1.0, 2.0))
