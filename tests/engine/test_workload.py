from __future__ import annotations

import pytest

from napari_samv1.engine.workload import encode_operations, measure_rate
from napari_samv1.model.config import VIT_B, VIT_H, SamConfig

PUBLISHED_VIT_B_GIGA = 2 * 370  # multiply-adds of the encoder as widely measured, times two


def test_vit_b_has_the_widely_measured_number_of_operations():
    assert encode_operations(VIT_B, (64, 64)) / 1e9 == pytest.approx(PUBLISHED_VIT_B_GIGA, rel=0.35)


def test_more_tokens_and_a_larger_network_are_more_work():
    assert encode_operations(VIT_B, (32, 64)) < encode_operations(VIT_B, (64, 64))
    assert encode_operations(VIT_B, (64, 64)) < encode_operations(VIT_H, (64, 64))


def test_one_token_is_some_work():
    assert encode_operations(SamConfig(width=64, depth=4, heads=2), (1, 1)) > 0


def test_a_device_has_a_positive_rate():
    assert measure_rate("cpu") > 0
