"""From pixels to masks, as a script calls it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from napari_samv1.engine.predictor import Predictor
from napari_samv1.engine.progress import Cancelled
from napari_samv1.model import Sam
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.preparation import MEDSAM, Preparation
from napari_samv1.records.prompts import Prompts
from small_model import CONFIG, picture, random_model


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(random_model(Preparation(side=64)))


CLICK = Prompts(points_yx=[(30, 40)], labels=[1])


@torch.no_grad()
def published_masks(network: Sam, image: np.ndarray, points_xy: np.ndarray, labels: list[int]) -> np.ndarray:
    """The published predictor's steps around the network, written down from its description."""
    side = CONFIG.side
    height, width = image.shape[:2]
    scale = side / max(height, width)
    new_h, new_w = int(height * scale + 0.5), int(width * scale + 0.5)
    small = np.array(Image.fromarray(image).resize((new_w, new_h), Image.Resampling.BILINEAR))
    x = torch.from_numpy(small).permute(2, 0, 1)[None].float()
    x = (x - torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)) / torch.tensor(
        [58.395, 57.12, 57.375]
    ).view(1, 3, 1, 1)
    x = functional.pad(x, (0, side - new_w, 0, side - new_h))
    # pixel-centre convention: (c + 0.5) * scale instead of c * scale + 0.5
    points = (torch.from_numpy(points_xy) + 0.5) * torch.tensor([new_w / width, new_h / height])
    tokens = network.encode_prompts(
        (points / side).float()[None], torch.tensor([labels]), torch.empty(1, 0, 2, 2)
    )
    logits, _ = network.decode(network.encode(x), tokens)
    upscaled = functional.interpolate(logits, (side, side), mode="bilinear", align_corners=False)
    upscaled = upscaled[..., :new_h, :new_w]
    whole = functional.interpolate(upscaled, (height, width), mode="bilinear", align_corners=False)
    return (whole > 0)[0].numpy()


@pytest.mark.parametrize("hw", [(90, 130), (200, 61), (40, 40)])
def test_padded_sizing_equals_the_published_predictor(hw):
    predictor = Predictor(random_model(Preparation(side=64)))
    image = picture(*hw)
    embedding = predictor.embed(image, sizing="padded")
    assert embedding.frame.input_hw == (64, 64)
    prompts = Prompts(points_yx=[(20, 30), (5, 9)], labels=[1, 0])
    masks = predictor.predict(embedding, prompts).masks()
    expected = published_masks(predictor.model.network, image, np.array([(30.0, 20.0), (9.0, 5.0)]), [1, 0])
    assert masks.shape == (4, *hw)
    assert 0.02 < expected.mean() < 0.98
    assert (masks != expected).mean() < 0.001


def test_native_sizing_keeps_the_aspect_and_pads_nothing(predictor):
    embedding = predictor.embed(picture(60, 120))
    assert embedding.frame.input_hw == embedding.frame.resized_hw == (32, 64)
    prediction = predictor.predict(embedding, CLICK)
    assert prediction.logits.shape == (4, 16, 32)
    assert prediction.logits.dtype == prediction.iou.dtype == np.float32
    assert prediction.masks().shape == (4, 60, 120)


def test_side_chooses_the_resolution(predictor):
    assert predictor.embed(picture(60, 120), side=128).frame.input_hw == (64, 128)


def test_a_crop_is_the_mask(predictor):
    prediction = predictor.predict(predictor.embed(picture(77, 90)), CLICK)
    for index in range(4):
        threshold = float(np.median(prediction.logits[index]))
        mask = prediction.mask(index, threshold)
        assert mask.any()
        assert np.array_equal(prediction.crop(index, threshold).to_mask((77, 90)), mask)


def test_stability_is_the_ratio_of_the_tighter_to_the_looser_mask(predictor):
    prediction = predictor.predict(predictor.embed(picture(77, 90)), CLICK)
    expected = [prediction.mask(i, 0.3).sum() / max(1, prediction.mask(i, -0.3).sum()) for i in range(4)]
    assert prediction.stability(offset=0.3) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prompts", "candidates"),
    [
        (Prompts([(30, 40)], [1]), {1, 2, 3}),
        (Prompts(boxes_yx=[(10, 10, 30, 30)]), {1, 2, 3}),
        (Prompts([(30, 40), (10, 10)], [1, 0]), {0}),
        (Prompts([(30, 40)], [1], [(10, 10, 50, 50)]), {0}),
        (Prompts(boxes_yx=[(10, 10, 30, 30), (40, 40, 50, 50)]), {0}),
    ],
)
def test_the_automatic_choice_follows_the_training(predictor, prompts, candidates):
    prediction = predictor.predict(predictor.embed(picture(64, 64)), prompts)
    best = prediction.best()
    assert best in candidates
    if len(candidates) > 1:
        assert prediction.iou[best] == prediction.iou[1:].max()
    assert prediction.iou[prediction.best(by="iou")] == prediction.iou.max()
    stability = prediction.stability()
    assert stability[prediction.best(by="stability")] == stability.max()


def test_a_hint_makes_a_click_unambiguous_and_changes_the_answer(predictor):
    embedding = predictor.embed(picture(64, 64))
    first = predictor.predict(embedding, CLICK)
    refined = predictor.predict(embedding, CLICK, mask_hint=first.logits[first.best()])
    assert refined.best() == 0
    assert not np.allclose(refined.logits, first.logits)


def test_a_box_only_model_answers_with_mask_0_on_a_stretched_square():
    predictor = Predictor(random_model(Preparation(**{**vars(MEDSAM), "side": 64})))
    embedding = predictor.embed(picture(50, 90))
    assert embedding.frame.input_hw == embedding.frame.resized_hw == (64, 64)
    assert predictor.predict(embedding, Prompts(boxes_yx=[(5, 5, 40, 40)])).best() == 0


def test_objects_of_all_kinds_decode_together_as_they_do_alone(predictor):
    embedding = predictor.embed(picture(64, 80))
    hint = predictor.predict(embedding, CLICK).logits[1]
    prompts = [
        CLICK,
        Prompts(boxes_yx=[(3, 4, 30, 40)]),
        Prompts([(5, 5)], [1]),
        Prompts([(5, 5), (9, 9)], [1, 0]),
        Prompts(),
        CLICK,
    ]
    hints = [None, None, None, None, hint, hint]
    together = predictor.predict_each(embedding, prompts, mask_hints=hints)
    for prediction, prompt, given in zip(together, prompts, hints, strict=True):
        alone = predictor.predict(embedding, prompt, mask_hint=given)
        assert np.allclose(prediction.logits, alone.logits, atol=1e-4)
        assert np.allclose(prediction.iou, alone.iou, atol=1e-5)
        assert prediction.ambiguous == alone.ambiguous


@pytest.mark.parametrize(
    ("prompts", "first"),
    [
        (Prompts([(9, 9), (30, 40), (50, 8)], [0, 1, 1]), CLICK),
        (Prompts([(30, 40)], [0], [(3, 4, 40, 50)]), Prompts(boxes_yx=[(3, 4, 40, 50)])),
    ],
)
def test_further_prompts_correct_the_best_answer_to_the_first(predictor, prompts, first):
    embedding = predictor.embed(picture(64, 80))
    begun = predictor.predict(embedding, first)
    by_hand = predictor.predict(embedding, prompts, mask_hint=begun.logits[1 + np.argmax(begun.iou[1:])])
    answer = predictor.answer(embedding, prompts)
    assert np.array_equal(answer.logits, by_hand.logits)
    assert np.array_equal(answer.iou, by_hand.iou)
    assert answer.best() == 0
    assert not np.allclose(answer.logits, predictor.predict(embedding, prompts).logits)


def test_further_prompts_correct_the_candidate_that_they_name(predictor):
    embedding = predictor.embed(picture(64, 80))
    begun = predictor.predict(embedding, CLICK)
    other = next(index for index in (1, 2, 3) if index != begun.best())
    plain = Prompts([*CLICK.points_yx, (9, 9)], [1, 0])
    named = plain.correcting(other)
    together = predictor.answer_each(embedding, [plain, named])
    for prompts, hint, answer in zip((plain, named), (begun.best(), other), together, strict=True):
        by_hand = predictor.predict(embedding, prompts, mask_hint=begun.logits[hint])
        assert np.allclose(answer.logits, by_hand.logits, atol=1e-4)
    assert not np.allclose(together[0].logits, together[1].logits, atol=1e-3)


@pytest.mark.parametrize(
    "prompts",
    [
        CLICK,
        Prompts(boxes_yx=[(3, 4, 40, 50)]),
        Prompts([(30, 40), (9, 9)], [1, 0], area=MaskCrop((20, 20), np.ones((20, 30), dtype=bool))),
    ],
)
def test_a_first_prompt_or_an_area_is_answered_as_it_is(predictor, prompts):
    embedding = predictor.embed(picture(64, 80))
    answer, plain = predictor.answer(embedding, prompts), predictor.predict(embedding, prompts)
    assert np.array_equal(answer.logits, plain.logits)
    assert answer.ambiguous == plain.ambiguous


def test_a_network_that_knows_no_hints_gets_none():
    predictor = Predictor(random_model(Preparation(**{**vars(MEDSAM), "side": 64})))
    embedding = predictor.embed(picture(50, 90))
    prompts = Prompts([(20, 20)], [0], [(5, 5, 40, 40)])
    answer, plain = predictor.answer(embedding, prompts), predictor.predict(embedding, prompts)
    assert np.array_equal(answer.logits, plain.logits)


def test_objects_of_all_kinds_are_corrected_together_as_they_are_alone(predictor, monkeypatch):
    monkeypatch.setattr("napari_samv1.engine.predictor.BATCH_TOKENS", 3 * 6 * 8)
    embedding = predictor.embed(picture(64, 80))
    prompts = [
        CLICK,
        *(Prompts([(10 + i, 40 - i), (9, 9 + i)], [1, 0]) for i in range(4)),
        Prompts([(9, 9), (30, 40)], [0, 0]),
        Prompts([(30, 40)], [1], [(3, 4, 40, 50)]),
    ]
    together = predictor.answer_each(embedding, prompts)
    for answer, prompt in zip(together, prompts, strict=True):
        alone = predictor.answer(embedding, prompt)
        assert np.allclose(answer.logits, alone.logits, atol=1e-4)
        assert answer.best() == alone.best()
    assert [answer.batch for answer in together] == [(0, 1), (0, 3), (1, 3), (2, 3), (0, 1), (0, 1), (0, 1)]


def test_large_batches_are_split(predictor, monkeypatch):
    embedding = predictor.embed(picture(64, 64))
    prompts = [Prompts([(i, 2 * i)], [1]) for i in range(7)]
    whole = predictor.predict_each(embedding, prompts)
    monkeypatch.setattr("napari_samv1.engine.predictor.BATCH_TOKENS", 3 * 64)
    for one, other in zip(whole, predictor.predict_each(embedding, prompts), strict=True):
        assert np.allclose(one.logits, other.logits, atol=1e-4)


def test_nothing_to_decode_is_no_error(predictor):
    assert predictor.predict_each(predictor.embed(picture(64, 64)), []) == []


def test_progress_counts_blocks_and_may_cancel(predictor):
    seen = []
    predictor.embed(picture(64, 64), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def cancel(done, total):
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        predictor.embed(picture(64, 64), on_progress=cancel)


def test_keys_say_everything_that_matters(predictor):
    image = picture(64, 48)
    key = predictor.embed(image).key
    assert predictor.embed(image.copy()).key == key
    changed = image.copy()
    changed[5, 5] += 1
    others = [
        predictor.embed(changed),
        predictor.embed(image, side=128),
        predictor.embed(image, sizing="padded", side=128),
        predictor.embed(image, intensity=(10, 200)),
        predictor.embed(image, intensity=(10, 200), gamma=2.0),
        Predictor(random_model(Preparation(side=64), seed=1)).embed(image),
    ]
    assert len({key, *(other.key for other in others)}) == 1 + len(others)


def test_another_models_embedding_is_refused(predictor):
    embedding = Predictor(random_model(Preparation(side=64), seed=1)).embed(picture(64, 64))
    with pytest.raises(ValueError, match="made by another model"):
        predictor.predict(embedding, CLICK)


@pytest.mark.parametrize(
    ("hint", "message"),
    [(np.zeros((8, 8)), r"must be \(32, 32\) logits"), (np.full((32, 32), np.nan), "must be finite")],
)
def test_wrong_hints_are_refused(predictor, hint, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(predictor.embed(picture(64, 64)), CLICK, mask_hint=hint)


def test_a_tensor_is_a_hint_too_and_is_checked_as_arrays_are(predictor):
    embedding = predictor.embed(picture(64, 64))
    hint = predictor.predict(embedding, CLICK).logits[1]
    by_array = predictor.predict(embedding, CLICK, mask_hint=hint)
    by_tensor = predictor.predict(embedding, CLICK, mask_hint=torch.from_numpy(hint).double())
    np.testing.assert_array_equal(by_tensor.logits, by_array.logits)
    with pytest.raises(ValueError, match=r"must be \(32, 32\) logits for this embedding, got \(3, 3\)"):
        predictor.predict(embedding, CLICK, mask_hint=torch.zeros(3, 3))
    with pytest.raises(ValueError, match="finite"):
        predictor.predict(embedding, CLICK, mask_hint=torch.full((32, 32), torch.nan))


def test_as_many_hints_as_prompts_are_needed(predictor):
    with pytest.raises(ValueError, match="each of 1 prompts, got 2"):
        predictor.predict_each(predictor.embed(picture(64, 64)), [CLICK], mask_hints=[None, None])


def test_the_image_is_not_changed(predictor):
    image = picture(64, 64).astype(np.float32)
    before = image.copy()
    predictor.embed(image)
    assert np.array_equal(image, before)


def test_what_is_no_model_embedding_or_prompts_is_refused_by_its_type(predictor):
    with pytest.raises(TypeError, match=r"must come from load_model.*got str"):
        Predictor("tiny")
    image = picture(40, 60)
    with pytest.raises(TypeError, match=r"from predictor\.embed\(image\), got ndarray"):
        predictor.predict(image, CLICK)
    embedding = predictor.embed(image)
    for ask in (
        lambda: predictor.predict(embedding, (30, 40)),
        lambda: predictor.answer(embedding, (30, 40)),
        lambda: predictor.on_image(image).answer((30, 40)),
    ):
        with pytest.raises(TypeError, match=r"must be Prompts.*got tuple"):
            ask()
