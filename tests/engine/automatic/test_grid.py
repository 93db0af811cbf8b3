"""The published generator as the oracle: package segment-anything-py, holding the bundled weights."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label
from skimage.data import coins

from napari_samv1 import AutomaticSettings, Cancelled, Predictor, Preparation, load_model, segment_everything
from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.grid import crop_windows, is_cut_off, points_in
from napari_samv1.engine.automatic.overlap import keep_by_boxes
from napari_samv1.engine.automatic.small_regions import drop_islands, fill_holes
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.prompts import Prompts
from published import SIDE, batched_nms, published_generator, stand_in_for_torchvision

GRID = {"mode": "grid", "sizing": "padded"}
# the bundled model trusts its masks less than the published one does
LENIENT = {"pred_iou_thresh": 0.7, "stability_score_thresh": 0.8}


@pytest.fixture(scope="module")
def predictor():
    preparation = Preparation(side=SIDE, sizing="padded", mean=(0, 0, 0), std=(255, 255, 255))
    return Predictor(load_model("tiny", device="cpu", dtype="float32", preparation=preparation))


@pytest.fixture
def amg(monkeypatch):
    stand_in_for_torchvision(monkeypatch)
    cv2 = ModuleType("cv2")
    cv2.connectedComponentsWithStats = components
    monkeypatch.setitem(sys.modules, "cv2", cv2)
    from segment_anything.utils import amg

    return amg


def components(mask, connectivity):
    """OpenCV's: how many regions with the background, the regions, and their areas as the last column."""
    regions, count = label(mask, np.ones((3, 3)) if connectivity == 8 else None)
    return count + 1, regions, np.bincount(regions.ravel(), minlength=count + 1)[:, None], None


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"points_per_side": 6, "points_per_batch": 4, **LENIENT},
        {
            "points_per_side": 4,
            "points_per_batch": 4,
            "pred_iou_thresh": 0.6,
            "stability_score_thresh": 0.7,
            "crop_n_layers": 1,
            "crop_n_points_downscale_factor": 2,
            "min_mask_region_area": 40,
        },
    ],
    ids=["one crop", "crops of crops, cleaned"],
)
def test_everything_is_what_the_published_generator_finds(settings, predictor, monkeypatch, amg):
    image = np.repeat(coins()[:200, :250, None], 3, axis=2)
    expected = published_generator(predictor.model, monkeypatch, **settings).generate(image)
    found = segment_everything(predictor, image, **GRID, **settings)
    assert found.complete
    assert len(found.objects) == len(expected) >= 3
    frame_scale = SIDE / 250
    for own, theirs in zip(found.objects, expected, strict=True):
        assert np.array_equal(own.crop.to_mask((200, 250)), theirs["segmentation"])
        x, y, width, height = theirs["bbox"]
        assert own.box == (y, x, y + height, x + width)
        assert own.area == theirs["area"]
        assert own.iou == pytest.approx(theirs["predicted_iou"], abs=1e-5)
        assert own.stability == pytest.approx(theirs["stability_score"], abs=1e-4)
        x, y, width, height = theirs["crop_box"]
        assert own.region.window_yxhw == (y, x, height, width)
        # half a model pixel is added there, half an image pixel here
        scale = SIDE / max(width, height) if settings.get("crop_n_layers") else frame_scale
        asked = np.array(theirs["point_coords"][0][::-1]) + 0.5 / scale - 0.5
        np.testing.assert_allclose(own.point_yx, asked, atol=0.01)


@pytest.mark.slow
def test_thresholds_of_zero_keep_what_the_published_generator_keeps(predictor, monkeypatch, amg):
    settings = {"points_per_side": 2, "pred_iou_thresh": 0, "stability_score_thresh": 0}
    image = np.repeat(coins()[:100, :120, None], 3, axis=2)
    expected = published_generator(predictor.model, monkeypatch, **settings).generate(image)
    found = segment_everything(predictor, image, **GRID, **settings)
    assert len(found.objects) == len(expected) > 2
    for own, theirs in zip(found.objects, expected, strict=True):
        assert np.array_equal(own.crop.to_mask((100, 120)), theirs["segmentation"])


def test_an_object_s_point_and_candidate_give_its_mask_again(predictor):
    image = coins()[:200, :250]
    found = segment_everything(
        predictor, image, points_per_side=3, pred_iou_thresh=0.4, stability_score_thresh=0.5, **GRID
    )
    assert found.objects
    embedding = predictor.embed(image, sizing="padded")
    for one in found.objects:
        prediction = predictor.predict(embedding, Prompts(points_yx=[one.point_yx], labels=[1]))
        again = prediction.crop(one.candidate).to_mask(image.shape)
        assert np.count_nonzero(again ^ one.crop.to_mask(image.shape)) <= 2


@given(st.integers(30, 3000), st.integers(30, 3000), st.integers(0, 3), st.floats(0, 0.9))
def test_crops_lie_where_the_published_ones_do(height, width, layers, ratio):
    with pytest.MonkeyPatch.context() as patch:
        stand_in_for_torchvision(patch)
        from segment_anything.utils.amg import generate_crop_boxes

        boxes, at = generate_crop_boxes((height, width), layers, ratio)
    settings = AutomaticSettings(crop_n_layers=layers, crop_overlap_ratio=ratio)
    expected = [
        ((y0, x0, y1 - y0, x1 - x0), layer) for (x0, y0, x1, y1), layer in zip(boxes, at, strict=True)
    ]
    assert crop_windows((height, width), settings) == expected


def test_crops_smaller_than_a_pixel_are_refused_at_once():
    with pytest.raises(ValueError, match="at most 4 in an image of 30 x 20"):
        crop_windows((30, 20), AutomaticSettings(crop_n_layers=99))


def test_deeper_layers_ask_fewer_points(amg):
    settings = AutomaticSettings(points_per_side=33, crop_n_points_downscale_factor=2)
    grids = amg.build_all_layer_point_grids(33, 3, 2)
    assert [points_in(layer, settings) ** 2 for layer in range(4)] == [len(grid) for grid in grids]


@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_doubles_are_dropped_as_torchvision_does(seed, count, threshold):
    random = np.random.default_rng(seed)
    corners = random.integers(0, 30, (count, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    scores = random.integers(0, 6, count) / np.float32(6)  # ties
    expected = batched_nms(
        torch.tensor(boxes, dtype=torch.float32), torch.tensor(scores), torch.zeros(count), threshold
    )
    assert keep_by_boxes(boxes, scores, threshold) == expected.tolist()


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))), st.integers(1, 12))
def test_small_holes_and_islands_go_as_in_the_published_code(mask, least_area):
    with pytest.MonkeyPatch.context() as patch:
        stand_in_for_torchvision(patch)
        cv2 = ModuleType("cv2")
        cv2.connectedComponentsWithStats = components
        patch.setitem(sys.modules, "cv2", cv2)
        from segment_anything.utils.amg import remove_small_regions

        filled, _ = remove_small_regions(mask, least_area, "holes")
        expected, _ = remove_small_regions(filled, least_area, "islands")
    crop = MaskCrop.from_mask(mask)
    if crop.empty:
        return
    cleaned = drop_islands(fill_holes(crop, least_area, mask.shape), least_area)
    assert np.array_equal(cleaned.to_mask(mask.shape), expected)


@given(st.integers(0, 70), st.integers(0, 70), st.integers(1, 60), st.integers(1, 60))
def test_masks_at_a_crop_s_edge_are_dropped_as_in_the_published_code(y, x, height, width):
    window, image_hw = (0, 40, 80, 90), (130, 130)
    with pytest.MonkeyPatch.context() as patch:
        stand_in_for_torchvision(patch)
        from segment_anything.utils.amg import is_box_near_crop_edge

        box = torch.tensor([[x, y, x + width, y + height]])
        expected = bool(is_box_near_crop_edge(box, [40, 0, 130, 80], [0, 0, 130, 130])[0])
    crop = MaskCrop((y, x + 40), np.ones((height + 1, width + 1), dtype=bool))
    one = FoundObject(
        PackedCrop.of(crop),
        crop.area,
        1,
        1,
        Prompts(points_yx=[(y, x + 40)], labels=[1]),
        1,
        Region(Plane(), window),
    )
    assert is_cut_off(one, window, image_hw) == expected


def test_what_is_cancelled_keeps_what_is_done_and_says_so(predictor):
    image = coins()[:200, :250]
    seen = []

    def stop_at_12(done, total):
        seen.append((done, total))
        if done >= 12:
            raise Cancelled

    found = segment_everything(predictor, image, points_per_side=5, on_progress=stop_at_12, **GRID, **LENIENT)
    assert not found.complete
    whole = segment_everything(predictor, image, points_per_side=5, **GRID, **LENIENT)
    assert whole.complete
    assert 0 < len(found.objects) < len(whole.objects)
    assert seen[0] == (0, 25)
    assert {total for _, total in seen} == {25}


def test_more_points_a_batch_find_the_same(predictor):
    image = coins()[:100, :120]
    lenient = {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.5}
    one, many = (
        segment_everything(predictor, image, points_per_side=2, points_per_batch=n, **GRID, **lenient)
        for n in (1, 64)
    )
    assert one.objects
    assert [x.box for x in one.objects] == [x.box for x in many.objects]


def test_arranged_whole_a_file_or_a_plane_of_a_stack_is_as_the_array(predictor, tmp_path):
    settings = {**GRID, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.3, "points_per_side": 3}
    image = coins()[100:180, 150:260]
    path = tmp_path / "coins.npy"
    np.save(path, image)
    wanted = segment_everything(predictor, image, **settings).labels()
    assert wanted.any()
    assert np.array_equal(segment_everything(predictor, path, **settings).labels(), wanted)
    stack = np.stack([np.zeros_like(image), image])
    assert np.array_equal(segment_everything(predictor, stack, plane=1, **settings).labels(), wanted)
    with pytest.raises(ValueError, match=r"choose a plane, e\.g\. plane=\(0, None, None\)"):
        segment_everything(predictor, stack, **settings)
    with pytest.raises(ValueError, match=r"take one channel, e\.g\. image\[\.\.\., 0\]"):
        segment_everything(predictor, image[..., None], **settings)
