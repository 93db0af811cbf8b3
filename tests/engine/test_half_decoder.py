"""Masks decoded in float16, as on a GPU: they stay, they say so, and what overflows is decoded in float32."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from napari_samv1 import Prompts, load_model
from napari_samv1.annotation.pieces import Request
from napari_samv1.engine.answers import derive
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model import Sam
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.settings import ObjectSettings
from napari_samv1.training.scenes.kinds import draw_scene
from small_model import picture, random_model

MADE_BY = Computation("random", "random", Environment("0", "3", "2", "2", "here", "none", 1))
CLICKS = [Prompts([(3 + i, 5 + 2 * i)], [1]) for i in range(4)]
CORRECTED = [Prompts([(3 + i, 5 + 2 * i), (40, 41)], [1, 0]) for i in range(3)]


def halved_model():
    return random_model(Preparation(side=64)).decoding_in("float16")


def all_of(prompts, iou):
    return np.ones((len(prompts), 4), dtype=bool)


class Overflowing:
    """Logits in float16 are infinite somewhere, from the ``start``-th time on that a mask is drawn so."""

    def __init__(self, monkeypatch, start=0):
        self.drawn: list[torch.dtype] = []
        draw = Sam.draw

        def too_large(network, attended):
            logits = draw(network, attended)
            dtype = network.mask_decoder.iou_token.dtype
            self.drawn.append(dtype)
            if dtype == torch.float16 and len(self.drawn) > start:
                logits[-1, 0, 0, 0] = torch.inf
            return logits

        monkeypatch.setattr(Sam, "draw", too_large)


def test_masks_of_the_bundled_decoder_stay_in_float16():
    exact = load_model("tiny", device="cpu", dtype="float32")
    halved = exact.decoding_in("float16")
    ious = []
    for seed, kind in enumerate(("nuclei", "coins")):
        scene = draw_scene(np.random.default_rng(seed), (384, 384), kind)
        labels = next(level for level in scene.levels if level.any())
        clicks = []
        for number in np.unique(labels)[1:5]:
            inside = np.argwhere(labels == number)
            clicks.append(Prompts([inside[len(inside) // 2]], [1]))
        embedding = Predictor(exact).embed(scene.image)
        expected, found = (Predictor(model).predict_each(embedding, clicks) for model in (exact, halved))
        for one, other in zip(expected, found, strict=True):
            assert (one.decoder, other.decoder) == ("float32", "float16")
            truth, mask = one.mask(one.best()), other.mask(one.best())
            ious.append((truth & mask).sum() / (truth | mask).sum())
    assert np.mean(ious) > 0.995
    assert np.mean(ious) < 1  # nothing was rounded, otherwise


def test_the_decoder_in_float16_is_a_copy_and_all_else_is_shared():
    model = random_model(Preparation(side=64))
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    halved = model.decoding_in("float16")
    assert (model.decoder, halved.decoder) == ("float32", "float16")
    assert halved.network is model.network
    assert halved.halved.image_encoder is model.network.image_encoder
    assert {one.dtype for one in halved.halved.mask_decoder.parameters()} == {torch.float16}
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.dtype == before[name].dtype
    assert halved.decoding_in("float16") is halved
    assert halved.decoding_in("float32").halved is None


def test_an_answer_says_what_it_was_decoded_in():
    predictor = Predictor(halved_model())
    embedding = predictor.embed(picture(64, 64))
    prediction = predictor.answer(embedding, CLICKS[0])
    answer = derive(prediction, Request(CLICKS[0], embedding.key), ObjectSettings(), MADE_BY)
    assert answer.made_by == MADE_BY.decoding_in("float16")
    assert answer.made_by.decoder == "float16"
    exact = Predictor(random_model(Preparation(side=64))).answer(embedding, CLICKS[0])
    assert derive(exact, answer.request, ObjectSettings(), MADE_BY).made_by is MADE_BY


@pytest.mark.parametrize("start", [0, 1])
def test_what_overflows_is_decoded_in_float32_from_its_beginning(monkeypatch, start):
    exact = Predictor(random_model(Preparation(side=64)))
    predictor = Predictor(halved_model())
    embedding = exact.embed(picture(64, 64))
    expected = exact.answer_each(embedding, CORRECTED)
    overflowing = Overflowing(monkeypatch, start)
    with pytest.warns(UserWarning, match="too large for float16: masks are decoded in float32"):
        found = predictor.answer_each(embedding, CORRECTED)
    # the first click as well, although it may have been finite: a replay in float32 begins with it
    assert overflowing.drawn == [torch.float16] * (1 + start) + [torch.float32] * 2
    for one, other in zip(found, expected, strict=True):
        assert one.decoder == "float32"
        assert one.batch == other.batch
        np.testing.assert_array_equal(one.logits, other.logits)
    assert predictor.model.decoder == "float32"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert predictor.answer(embedding, CLICKS[0]).decoder == "float32"


def test_a_stream_that_overflows_goes_on_in_float32(monkeypatch):
    exact = Predictor(random_model(Preparation(side=64)))
    embedding = exact.embed(picture(64, 64))
    expected = [one for _, some in exact.stream(embedding, CLICKS, all_of, batch=2) for one in some]
    Overflowing(monkeypatch)
    with pytest.warns(UserWarning, match="too large for float16"):
        streamed = list(Predictor(halved_model()).stream(embedding, CLICKS, all_of, batch=2))
    found = [one for _, some in streamed for one in some]
    assert [(one.index, one.mask) for one in found] == [(one.index, one.mask) for one in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.logits, other.logits)


def test_weights_that_overflow_by_themselves_are_noticed():
    model = random_model(Preparation(side=64))
    model.network.mask_decoder.mask_generator.weights[0].layers[2].bias += 1e5
    predictor = Predictor(model.decoding_in("float16"))
    embedding = predictor.embed(picture(64, 64))
    with pytest.warns(UserWarning, match="too large for float16"):
        found = predictor.predict(embedding, CLICKS[0])
    assert np.isfinite(found.logits).all()
    np.testing.assert_array_equal(found.logits, Predictor(model).predict(embedding, CLICKS[0]).logits)


def test_memory_that_runs_out_in_float16_halves_the_batch(monkeypatch):
    predictor = Predictor(halved_model())
    embedding = predictor.embed(picture(64, 64))
    attend = Sam.attend

    def crowded(network, image, tokens, *given):
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return attend(network, image, tokens, *given)

    monkeypatch.setattr(Sam, "attend", crowded)
    with pytest.warns(UserWarning, match="smaller batches"):
        found = predictor.answer_each(embedding, CLICKS)
    assert [one.batch for one in found] == [(0, 2), (1, 2), (0, 2), (1, 2)]
    assert {one.decoder for one in found} == {"float16"}
