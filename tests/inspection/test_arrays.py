"""Norms, colours, positions, similarity, wand, differences: against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_samv1.inspection import (
    Cells,
    channel_norm,
    coordinate_features,
    cosine_similarity,
    image_channels,
    magic_wand,
    mask_difference,
    masks_when_downscaled,
    model_input,
    overlap,
    position_grid,
    predict_with_windows,
    principal_colours,
    relative_positions,
    stability_by_offset,
    stability_by_threshold,
    threshold_band,
    token_under,
    tokens_under,
    unit_range,
    watch_blocks,
    with_less_detail,
)
from napari_samv1.records.frame import Frame
from napari_samv1.records.prompts import Prompts


def test_the_learned_grid_is_the_table_and_others_are_its_interpolation(model):
    table_hwc = model.network.image_encoder.position_encoding.table_hwc
    np.testing.assert_array_equal(position_grid(model.network, (8, 8)), table_hwc.permute(2, 0, 1))
    larger = position_grid(model.network, (16, 24))
    expected = functional.interpolate(table_hwc.permute(2, 0, 1)[None], (16, 24), mode="bilinear")[0]
    assert larger.shape == (24, 16, 24)
    np.testing.assert_allclose(larger, expected, atol=1e-6)
    # halved with antialiasing: each value is a mean of its neighbourhood, the overall mean stays
    smaller = position_grid(model.network, (4, 4))
    np.testing.assert_allclose(smaller.mean((1, 2)), table_hwc.mean((0, 1)), atol=0.05)
    assert position_grid(model.network, (2, 128)).shape == (24, 2, 128)


def test_positions_given_out_are_copies(model):
    position_grid(model.network, (8, 8)).copy()
    before = model.network.image_encoder.position_encoding.table_hwc.clone()
    grid = position_grid(model.network, (8, 8))
    grid[:] = 0
    assert torch.equal(model.network.image_encoder.position_encoding.table_hwc, before)


def test_relative_positions_are_one_row_per_offset(model):
    tables = model.network.image_encoder.stages[0].whole.attention.relative_position
    learned = relative_positions(model.network, 1)
    np.testing.assert_array_equal(learned.height_od, tables.height)
    np.testing.assert_array_equal(learned.width_od, tables.width)
    assert list(learned.offsets) == list(range(-7, 8))
    resized = relative_positions(model.network, 1, positions=5)
    expected = functional.interpolate(tables.height.T[None], 9, mode="linear")[0].T
    np.testing.assert_allclose(resized.height_od, expected, atol=1e-6)
    assert len(relative_positions(model.network, 0).height_od) == 5  # windows of 3


def test_coordinate_features_are_sines_and_cosines_of_the_centres(model):
    features = coordinate_features(model.network, (3, 5))
    frequencies = model.network.coordinate_encoder.frequencies.numpy()
    x, y = 2 * (1 + 0.5) / 5 - 1, 2 * (2 + 0.5) / 3 - 1
    angles = 2 * np.pi * (x * frequencies[0] + y * frequencies[1])
    np.testing.assert_allclose(features[:16, 2, 1], np.sin(angles), atol=1e-5)
    np.testing.assert_allclose(features[16:, 2, 1], np.cos(angles), atol=1e-5)


def test_norm_and_range_over_channels():
    maps = np.zeros((2, 1, 2), dtype=np.float32)
    maps[:, 0, 0] = 3, 4
    maps[:, 0, 1] = 3, -4
    np.testing.assert_array_equal(channel_norm(maps), [[5, 5]])
    np.testing.assert_array_equal(unit_range(maps), [[[0, 0]], [[1, 0]]])


def test_block_norms_are_the_lengths_of_the_kept_tokens(model, picture):
    given = model_input(model, picture)
    for index in range(4):
        seen = watch_blocks(model, given, keep_block=index)
        assert seen.norms_khw.shape == (4, 6, 8)
        by_hand = np.sqrt((seen.kept_chw.astype(np.float64) ** 2).sum(0))
        np.testing.assert_allclose(seen.norms_khw[index], by_hand, rtol=1e-5)
    np.testing.assert_array_equal(seen.lowest, [norms.min() for norms in seen.norms_khw])
    np.testing.assert_array_equal(seen.highest, [norms.max() for norms in seen.norms_khw])
    assert [block.kind for block in seen.blocks] == ["windows of 3", "global", "windows of 3", "global"]
    assert [block.stage for block in seen.blocks] == [0, 0, 1, 1]


def test_principal_colours_follow_the_largest_differences():
    # two tokens differ by 10 along channel 1, others by 1 along channel 0: red is channel 1
    maps = np.zeros((3, 1, 4), dtype=np.float32)
    maps[1, 0] = 0, 0, 10, 10
    maps[0, 0] = 0, 1, 0, 1
    colours = principal_colours(maps)
    np.testing.assert_allclose(colours[0, :, 0], [0, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(colours[0, :, 1], [0, 1, 0, 1], atol=1e-6)


def test_principal_colours_are_the_singular_vectors_of_the_tokens():
    tokens = np.random.default_rng(1).normal(size=(7, 5, 6)).astype(np.float32)
    flat = tokens.reshape(7, -1).T
    _, _, directions = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    scores = (flat - flat.mean(0)) @ directions[:3].T
    colours = principal_colours(tokens).reshape(-1, 3)
    for k in range(3):
        assert abs(np.corrcoef(scores[:, k], colours[:, k])[0, 1]) == pytest.approx(1, abs=1e-5)
        assert (colours[:, k].min(), colours[:, k].max()) == pytest.approx((0, 1), abs=1e-6)


def test_cosine_similarity_by_hand():
    maps = np.array([[[1, 2, 0, -1]], [[0, 2, 3, 0]]], dtype=np.float32)
    weights = np.array([[1, 0, 0, 0]], dtype=np.float32)
    np.testing.assert_allclose(cosine_similarity(maps, weights), [[1, 2**-0.5, 0, -1]], atol=1e-6)
    weights = np.array([[1, 0, 1, 0]], dtype=np.float32)
    np.testing.assert_allclose(
        cosine_similarity(maps, weights), [[2**-0.5, 1, 2**-0.5, -(2**-0.5)]], atol=1e-6
    )
    with pytest.raises(ValueError, match="point at the image"):
        cosine_similarity(maps, np.zeros((1, 4), dtype=np.float32))


def test_tokens_under_a_mask_are_weighed_by_their_share():
    frame = Frame.plan((16, 32), side=32, patch=8)
    mask = np.zeros((16, 32), dtype=bool)
    mask[:8, 4:16] = True
    expected = [[0.5, 1, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(tokens_under(frame, mask), expected)
    enlarged = Frame.plan((2, 2), side=32, patch=8)
    np.testing.assert_allclose(
        tokens_under(enlarged, np.array([[True, False], [False, False]])),
        np.pad(np.ones((2, 2)), ((0, 2), (0, 2))),
    )
    padded = Frame.plan((16, 32), side=32, patch=8, sizing="padded")
    np.testing.assert_allclose(tokens_under(padded, mask), [*expected, [0] * 4, [0] * 4])


def test_the_token_under_a_point():
    frame = Frame.plan((16, 32), side=32, patch=8)
    for point, token in [((-0.5, -0.5), (0, 0)), ((7.4, 7.6), (0, 1)), ((15.4, 31.4), (1, 3))]:
        weights = token_under(frame, point)
        assert weights.sum() == 1
        assert weights[token] == 1


def test_cells_lie_where_the_frame_says():
    for sizing in ("native", "padded", "stretched"):
        frame = Frame.plan((50, 110), side=64, patch=8, sizing=sizing)
        tokens, logits = Cells.of_tokens(frame), Cells.of_logits(frame)
        for row, column in ((0, 0), (2, 5)):
            xy01 = ((column + 0.5) / frame.grid_hw[1], (row + 0.5) / frame.grid_hw[0])
            [expected] = frame.from_model_xy01([xy01])
            at = np.add(tokens.origin_yx, np.multiply(tokens.step_yx, (row, column)))
            np.testing.assert_allclose(at, expected, atol=1e-9)
            at = np.add(logits.origin_yx, np.multiply(logits.step_yx, (row, column)))
            np.testing.assert_allclose(at, frame.from_logits_yx([(row, column)])[0], atol=1e-9)
        # the cells end at the image's lower right, or less than one of them beyond it
        for cells in (tokens, logits):
            end = np.add(cells.origin_yx, np.multiply(cells.step_yx, np.subtract(cells.shape_yx, 0.5)))
            assert (end >= np.array([49.5, 109.5]) - 1e-6).all()
            assert (end < np.array([49.5, 109.5]) + cells.step_yx).all()
    spanning = Cells.spanning((10, 20), (5, 4))
    assert (spanning.origin_yx, spanning.step_yx) == ((0.5, 2.0), (2.0, 5.0))


def test_the_wand_floods_what_is_alike_and_connected():
    image = np.full((5, 6), 100, dtype=np.uint8)
    image[:, 3] = 140
    image[2, 4] = 103
    image[0, 0] = 105
    np.testing.assert_array_equal(magic_wand(image, (2, 1), 4), (image == 100) & (np.arange(6) < 3))
    reached = magic_wand(image, (2.4, 0.6), 5)
    assert reached.sum() == 15
    assert magic_wand(image, (2, 1), 40).all()
    assert magic_wand(image, (0, 0), 0).sum() == 1
    with pytest.raises(ValueError, match="seed must lie on the image"):
        magic_wand(image, (5, 0), 0)


def test_the_wand_takes_a_colours_most_different_channel():
    image = np.zeros((1, 3, 3), dtype=np.uint8)
    image[0, 1] = 5, 0, 0
    image[0, 2] = 5, 5, 9
    assert magic_wand(image, (0, 0), 5).tolist() == [[True, True, False]]


def test_mask_difference_and_overlap():
    before, after = np.array([[1, 1, 0, 0]], dtype=bool), np.array([[1, 0, 1, 0]], dtype=bool)
    assert mask_difference(before, after).tolist() == [[1, 2, 3, 0]]
    assert overlap(before, after) == pytest.approx(1 / 3)
    assert overlap(before & ~before, after & ~after) == 1


CORRECTED = Prompts(points_yx=[(30, 40), (12, 60)], labels=[1, 0])


def test_the_trained_windows_answer_as_the_panel_does(predictor, picture, click):
    expected = predictor.answer(predictor.embed(picture), CORRECTED)
    trained = predict_with_windows(predictor, picture, CORRECTED)
    np.testing.assert_array_equal(trained.prediction.logits, expected.logits)
    assert (trained.window_sizes, trained.side) == ((3, 3), 64)
    changed = predict_with_windows(predictor, picture, click, window_sizes=(1, 8), side=96)
    assert changed.prediction.logits.shape == (4, 32, 48)
    assert changed.seconds > 0


def test_stability_curves_hold_the_predictions_own_scores(predictor, picture, click):
    prediction = predictor.predict(predictor.embed(picture), click)
    curve = stability_by_threshold(prediction, [-1.0, 0.0, 2.0], offset=0.5)
    assert curve.shape == (4, 3)
    np.testing.assert_array_equal(curve[:, 2], prediction.stability(threshold=2.0, offset=0.5))
    by_offset = stability_by_offset(prediction, [0.0, 0.1, 0.3, 1.0])
    assert (np.diff(by_offset, axis=1) <= 0).all()


def test_a_band_is_what_two_masks_differ_by(predictor, picture, click):
    prediction = predictor.predict(predictor.embed(picture), click)
    middle = float(np.median(prediction.logits[1]))
    band = threshold_band(prediction, 1, middle - 0.05, middle + 0.05)
    inner, outer = prediction.mask(1, middle + 0.05), prediction.mask(1, middle - 0.05)
    assert band.sum() == outer.sum() - inner.sum() > 0
    with pytest.raises(ValueError, match="lower threshold"):
        threshold_band(prediction, 1, 1.0, 0.0)


def test_less_detail_keeps_the_size_and_the_mean():
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[::2] = 200
    blurred = with_less_detail(image, 0.25)
    assert blurred.shape == image.shape
    assert abs(float(blurred[5:-5].mean()) - 100) < 3
    assert float(blurred[5:-5].std()) < 10
    assert with_less_detail(image, 1.0) is image


def test_downscaled_masks_end_with_the_whole_images(predictor, picture):
    seen = masks_when_downscaled(predictor, picture, CORRECTED, (0.1, 0.5, 1.0))
    prediction = predictor.answer(predictor.embed(picture), CORRECTED)
    assert seen.masks_shw.shape == (3, 61, 88)
    np.testing.assert_array_equal(seen.masks_shw[2], prediction.mask(prediction.best()))
    assert seen.overlaps_s[2] == 1


def test_changing_what_was_given_out_changes_no_embedding(predictor, picture):
    embedding = predictor.embed(picture)
    before = embedding.tokens_bchw.clone()
    image_channels(embedding)[:] = 0
    assert torch.equal(embedding.tokens_bchw, before)
