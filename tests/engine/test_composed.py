"""Several channels as one picture: whole and by region, kept on disk, told apart by their display."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_samv1.engine.disk_store import DiskStore
from napari_samv1.engine.plane_pixels import PlanePixels
from napari_samv1.engine.predictor import Predictor
from napari_samv1.engine.store import MemoryStore
from napari_samv1.engine.view import ImageView
from napari_samv1.images.displayed import displayed
from napari_samv1.images.source import as_source
from napari_samv1.images.stacked import StackedSource
from napari_samv1.records.display import Channel, Display, Paint
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import BUNDLED
from small_model import picture, random_model

HW = (300, 280)
RED = Paint(((0, 0, 0, 1), (1, 0, 0, 1)))
GREEN = Paint(((0, 0, 0, 1), (0, 1, 0, 1)), "additive")
DISPLAY = Display((Channel(0, 200, paint=RED, pixels="a"), Channel(-40, 900.5, 0.7, GREEN, pixels="b")))
FIRST = picture(*HW)[..., 0]
SECOND = picture(*HW, seed=4)[..., 1].astype(np.float32) * 4
STACKED = np.stack([FIRST.astype(np.float32), SECOND], axis=2)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(random_model(replace(BUNDLED, side=64)))


def view(predictor, store, display=DISPLAY):
    source = StackedSource((as_source(FIRST), as_source(SECOND)))
    pixels = PlanePixels(predictor.model, source, Plane(), HW, display=lambda: display)
    return ImageView(predictor, pixels, store)


def test_the_whole_picture_is_encoded_as_embed_encodes_the_composed_one(predictor):
    whole = view(predictor, MemoryStore()).encode((0, 0, *HW))
    embedded = predictor.embed(displayed(STACKED, DISPLAY))
    assert torch.equal(whole.tokens_bchw, embedded.tokens_bchw)
    assert whole.key == replace(embedded.key, display=DISPLAY)
    assert (whole.key.intensity, whole.key.gamma) == (None, 1.0)


@pytest.mark.parametrize("window", [(64, 32, 64, 64), (0, 0, *HW)])
def test_a_kept_embedding_is_found_by_the_same_display_alone(predictor, tmp_path, window):
    first = view(predictor, DiskStore(tmp_path)).encode(window)
    kept = DiskStore(tmp_path).get(view(predictor, MemoryStore()).request(window))
    assert kept is not None
    assert (kept.key, kept.request) == (first.key, first.request)
    assert torch.equal(kept.tokens_bchw, first.tokens_bchw)
    changed = Display((DISPLAY.channels[0], replace(DISPLAY.channels[1], high=901)))
    assert DiskStore(tmp_path).get(view(predictor, MemoryStore(), changed).request(window)) is None
