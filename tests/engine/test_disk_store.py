"""Embeddings from a disk answer as fresh ones do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_samv1.engine import view as view_module
from napari_samv1.engine.predictor import Predictor
from napari_samv1.records.preparation import BUNDLED
from napari_samv1.records.prompts import Prompts
from small_model import picture, random_model

CLICK = Prompts([(150, 160)], [1])
IMAGE = picture(300, 300)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(random_model(replace(BUNDLED, side=64)))


@pytest.fixture
def encodings(monkeypatch):
    """How many regions were encoded."""
    made = []
    encode = view_module.encode
    monkeypatch.setattr(view_module, "encode", lambda *a, **k: made.append(1) or encode(*a, **k))
    return made


@pytest.mark.parametrize("rounding", ["float32", "float16"])
@pytest.mark.parametrize("detail", ["auto", "whole"])
def test_a_kept_embedding_answers_bit_for_bit_and_is_not_made_again(
    rounding, detail, predictor, encodings, tmp_path
):
    fresh = predictor.on_image(IMAGE, rounding=rounding).answer(CLICK, detail)
    first = predictor.on_image(IMAGE, cache=tmp_path, rounding=rounding).answer(CLICK, detail)
    made = len(encodings)
    view = predictor.on_image(IMAGE.copy(), cache=str(tmp_path), rounding=rounding)
    again = view.answer(CLICK, detail)
    assert len(encodings) == made
    for answer in (first, again):
        assert np.array_equal(answer.logits, fresh.logits)
        assert answer.frame == fresh.frame
    assert len(view.encoded) == made / 2
    window = again.frame.window_yxhw
    kept, new = view.encode(window), predictor.on_image(IMAGE, rounding=rounding).encode(window)
    assert (kept.key, kept.request) == (new.key, new.request)
    assert torch.equal(kept.tokens_bchw, new.tokens_bchw)


def test_an_image_whose_sample_is_the_same_but_not_its_pixels_is_encoded_anew(predictor, encodings, tmp_path):
    image = np.zeros((2000, 2000), np.uint8)
    image[::7, ::5] = 100
    window = (32, 32, 64, 64)
    before = predictor.on_image(image, cache=tmp_path).encode(window)
    for place in range(40, 90):
        changed = image.copy()
        changed[place : place + 5, place : place + 5] = 255
        view = predictor.on_image(changed, cache=tmp_path)
        if view.request(window) == before.request:
            break
    assert view.encode(window).key.pixels != before.key.pixels
    assert len(encodings) == 2
    # and the entry is now the changed image's
    predictor.on_image(changed, cache=tmp_path).encode(window)
    assert len(encodings) == 2


def test_entries_whose_notes_make_no_sense_are_made_again(predictor, encodings, tmp_path, monkeypatch):
    from napari_samv1.engine import disk_store

    with monkeypatch.context() as patch:
        patch.setattr(disk_store, "asdict", lambda frame: {"patch": 8})
        predictor.on_image(IMAGE, cache=tmp_path).encode((0, 0, 64, 64))
    predictor.on_image(IMAGE, cache=tmp_path).encode((0, 0, 64, 64))
    assert len(encodings) == 2
