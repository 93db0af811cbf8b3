from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model import Sam
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts
from small_run import SMALL


@pytest.fixture
def predictor():
    network = Sam(SMALL).eval().requires_grad_(False)
    return Predictor(LoadedModel(network, SMALL, Preparation(side=SMALL.side), "small", "0" * 64))


@pytest.fixture
def embedding(predictor):
    return predictor.embed(np.random.default_rng(0).integers(0, 255, (40, 60), dtype=np.uint8))


def points(count):
    yx = np.random.default_rng(1).uniform(0, 40, (count, 2))
    return [Prompts(points_yx=[one], labels=[1]) for one in yx]


def test_streamed_masks_are_the_ones_that_are_decoded_with_all_others(predictor, embedding):
    prompts = points(7)
    expected = predictor.predict_each(embedding, prompts)

    def second_and_last(_, iou):
        return np.tile([False, True, False, True], (len(iou), 1))

    streamed = list(predictor.stream(embedding, prompts, second_and_last))
    assert streamed[-1][0] == 7
    candidates = [one for _, some in streamed for one in some]
    assert [(one.index, one.mask) for one in candidates] == [(i, m) for i in range(7) for m in (1, 3)]
    for one in candidates:
        np.testing.assert_allclose(one.logits, expected[one.index].logits[one.mask], atol=1e-5)
        assert one.iou == pytest.approx(float(expected[one.index].iou[one.mask]), abs=1e-6)


def test_a_candidate_is_cut_and_scored_as_a_prediction_is(predictor, embedding):
    prompts = points(3)
    predictions = predictor.predict_each(embedding, prompts)
    [(_, candidates)] = predictor.stream(embedding, prompts, lambda _, iou: np.ones(iou.shape, dtype=bool))
    for one in candidates:
        middle, offset = float(np.median(one.logits)), float(one.logits.std() / 4)
        crop, stability = one.crop_and_stability(middle, offset)
        prediction = predictions[one.index]
        assert not crop.empty
        assert np.count_nonzero(crop.to_mask((40, 60)) ^ prediction.mask(one.mask, middle)) <= 2
        assert 0 < stability < 1
        assert stability == pytest.approx(float(prediction.stability(middle, offset)[one.mask]), abs=0.01)


def test_a_mask_that_is_nowhere_has_no_stability(predictor, embedding):
    [(_, candidates)] = predictor.stream(embedding, points(1), lambda _, iou: np.ones(iou.shape, dtype=bool))
    crop, stability = candidates[0].crop_and_stability(1e6)
    assert crop.empty
    assert np.isnan(stability)


def test_only_what_is_chosen_is_drawn(predictor, embedding, monkeypatch):
    drawn = []
    draw = predictor.model.network.draw
    monkeypatch.setattr(
        predictor.model.network, "draw", lambda attended: drawn.append(len(attended.iou_bm)) or draw(attended)
    )
    chosen = iter([True, False, False, True, False])

    def by_turns(prompts, iou):
        return np.repeat(np.array([[next(chosen)] for _ in prompts]), 4, axis=1)

    batches = list(predictor.stream(embedding, points(5), by_turns, batch=2))
    assert [done for done, _ in batches] == [2, 4, 5]
    assert drawn == [1, 1]


def test_prompts_of_different_kinds_are_streamed_in_their_order(predictor, embedding):
    box = Prompts(boxes_yx=[(3, 3, 20, 20)])
    prompts = [*points(2), box, *points(1)]
    streamed = predictor.stream(embedding, prompts, lambda _, iou: np.eye(4, dtype=bool)[[0] * len(iou)])
    expected = predictor.predict_each(embedding, prompts)
    for _, some in streamed:
        for one in some:
            np.testing.assert_allclose(one.logits, expected[one.index].logits[0], atol=1e-5)


def test_batches_on_a_gpu_are_as_large_as_free_memory_allows(predictor, embedding, monkeypatch):
    from napari_samv1.engine import predictor as module

    class Elsewhere:
        device = torch.device("cuda")
        config = SMALL

    monkeypatch.setattr(predictor, "model", Elsewhere())
    height, width = embedding.frame.grid_hw
    of_one = 2 * 4 * module.BATCH_NUMBERS * SMALL.channels * height * width
    monkeypatch.setattr(module, "free_bytes", lambda device: 1000 * of_one)
    monkeypatch.setattr(module, "BATCH_TOKENS", height * width)
    assert predictor._batch_size((height, width)) == 1000
    monkeypatch.setattr(module, "free_bytes", lambda device: 10**18)
    assert predictor._batch_size((height, width)) == module.GPU_BATCH_TOKENS // (height * width)
    monkeypatch.setattr(module, "free_bytes", lambda device: 0)
    assert predictor._batch_size((height, width)) == 1


def test_an_embedding_of_another_model_is_refused(predictor, embedding):
    other = Predictor(LoadedModel(predictor.model.network, SMALL, Preparation(), "other", "1" * 64))
    with pytest.raises(ValueError, match="another model than other"):
        next(other.stream(embedding, points(1), lambda _, iou: iou > 0))


def test_attending_and_drawing_is_decoding_bit_for_bit(predictor, embedding):
    network = predictor.model.network
    tokens = torch.randn(3, 2, SMALL.channels)
    logits, iou = network.decode(embedding.tokens_bchw, tokens)
    attended = network.attend(embedding.tokens_bchw, tokens)
    assert torch.equal(network.draw(attended), logits)
    assert torch.equal(attended.iou_bm, iou)
