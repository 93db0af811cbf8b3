"""Prompts that attend to a window of the image alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.decoder_windows import NOWHERE, reaches_edge, window_size
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model import Sam
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts
from small_run import SMALL

WITHIN = (7.5, 15.5, 31.5, 39.5)
"""Of an image of 48 x 48 pixels in tokens of 8: rows 1 to 3 and columns 2 to 4."""
INSIDE = np.s_[..., 4:16, 8:20]


@pytest.fixture
def predictor():
    torch.manual_seed(0)
    network = Sam(SMALL).eval().requires_grad_(False)
    return Predictor(LoadedModel(network, SMALL, Preparation(side=SMALL.side), "small", "0" * 64))


@pytest.fixture
def embedding(predictor):
    return predictor.embed(np.random.default_rng(0).integers(0, 255, (48, 48), dtype=np.uint8))


def click(y=20, x=28, **more):
    return Prompts(points_yx=[(y, x)], labels=[1], **more)


def by_hand(predictor, embedding, prompts):
    """The decoder's answer where the tokens outside the window do not exist."""
    network = predictor.model.network
    decoder = network.mask_decoder
    cut = np.s_[:, :, 1:4, 2:5]
    grid = network.coordinate_encoder.grid((6, 6))
    image = decoder.prepare(embedding.tokens_bchw[cut], grid[cut])
    tokens = predictor._prompt_tokens(embedding.frame, [prompts])
    with torch.inference_mode():
        return network.decode(image, tokens)


def test_other_tokens_do_not_exist_and_no_mask_is_there(predictor, embedding):
    prediction = predictor.predict(embedding, click(within=WITHIN))
    logits, iou = by_hand(predictor, embedding, click())
    assert prediction.logits.shape == (4, 24, 24)
    np.testing.assert_allclose(prediction.logits[INSIDE], logits[0], atol=1e-5)
    np.testing.assert_allclose(prediction.iou, iou[0], atol=1e-6)
    outside = np.ones((4, 24, 24), bool)
    outside[INSIDE] = False
    assert (prediction.logits[outside] == NOWHERE).all()


def test_windows_of_several_sizes_and_none_are_answered_each_by_itself(predictor, embedding):
    prompts = [
        click(),
        click(within=WITHIN),
        click(12, 12, within=(-0.5, -0.5, 23.5, 23.5)),
        click(30, 30, within=(-0.5, -0.5, 39.5, 47.5)),
        click(40, 40, within=(23.5, 23.5, 47.5, 47.5)),
    ]
    alone = [predictor.predict(embedding, one) for one in prompts]
    together = predictor.predict_each(embedding, prompts)
    answered = predictor.answer_each(embedding, prompts)
    streamed = predictor.stream(embedding, prompts, lambda _, iou: np.ones(iou.shape, dtype=bool))
    candidates = {(one.index, one.mask): one for _, some in streamed for one in some}
    for index, expected in enumerate(alone):
        for found in (together[index], answered[index]):
            np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
        for mask in range(4):
            one = candidates[index, mask]
            np.testing.assert_allclose(one.logits, expected.logits[mask], atol=1e-5)
            assert one.iou == pytest.approx(float(expected.iou[mask]), abs=1e-6)


def test_an_area_is_a_hint_in_its_window_too(predictor, embedding):
    area = MaskCrop((16, 20), np.ones((8, 9), bool))
    asked = click(within=WITHIN, area=area)
    [expected] = predictor.predict_each(embedding, [asked])
    [(_, candidates)] = predictor.stream(embedding, [asked], lambda _, iou: np.eye(4, dtype=bool)[[2]])
    np.testing.assert_allclose(candidates[0].logits, expected.logits[2], atol=1e-5)
    without = predictor.predict(embedding, click(within=WITHIN))
    assert np.abs(without.logits - expected.logits)[INSIDE].max() > 1e-3


def test_a_correction_attends_to_everything(predictor, embedding):
    both = {"points_yx": [(20, 28), (40, 3)], "labels": [1, 0]}
    corrected = predictor.answer(embedding, Prompts(**both, within=WITHIN))
    np.testing.assert_array_equal(corrected.logits, predictor.answer(embedding, Prompts(**both)).logits)


def test_a_window_elsewhere_is_the_whole_image(predictor, embedding):
    prediction = predictor.predict(embedding, click(within=(99.5, 99.5, 140.5, 140.5)))
    np.testing.assert_array_equal(prediction.logits, predictor.predict(embedding, click()).logits)


def test_only_so_many_tokens_are_attended_to(predictor, embedding, monkeypatch):
    attended = []
    attend = predictor.model.network.attend
    monkeypatch.setattr(
        predictor.model.network,
        "attend",
        lambda image, *more: attended.append(tuple(image.placed_bnc.shape[:2])) or attend(image, *more),
    )
    prompts = [click(within=WITHIN), click(21, 27, within=WITHIN), click()]
    list(predictor.stream(embedding, prompts, lambda _, iou: iou > 9))
    assert attended == [(2, 9), (1, 36)]


@pytest.mark.parametrize(
    ("pixels", "reaches"),
    [
        (np.s_[6:10, 10:14], False),
        (np.s_[4:10, 10:14], True),
        (np.s_[6:10, 10:20], True),
        (np.s_[15:18, 10:14], True),
    ],
)
def test_a_mask_at_an_edge_of_its_window_is_cut_off(embedding, pixels, reaches):
    drawn = torch.full((24, 24), -1.0)
    drawn[pixels] = 1
    assert reaches_edge(click(within=WITHIN), embedding.frame, drawn) is reaches
    assert not reaches_edge(click(), embedding.frame, drawn)


def test_an_edge_of_the_image_cuts_nothing_off(embedding):
    drawn = torch.full((24, 24), -1.0)
    drawn[0:3, 0:3] = 1
    corner = click(within=(-0.5, -0.5, 23.5, 23.5))
    assert window_size(corner, embedding.frame) == (3, 3)
    assert not reaches_edge(corner, embedding.frame, drawn)
