"""Models of a process that goes on while their files change, as workers of a cluster do."""

from __future__ import annotations

import os
import shutil

import pytest
import torch

from napari_samv1.batch import models
from napari_samv1.batch.models import predictor_of
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.meta_keys import to_published
from small_model import CONFIG, random_model


@pytest.fixture
def weights(checkpoint, tmp_path):
    return shutil.copy(checkpoint, tmp_path / "mine.pt")


def replace_weights(path, seed):
    torch.save(to_published(random_model(seed=seed).network.state_dict(), CONFIG), path)
    os.utime(path, (seed, seed))


def test_a_model_is_loaded_once_and_again_when_its_file_is_replaced(weights):
    first = predictor_of(str(weights), "cpu")
    assert predictor_of(str(weights), "cpu") is first
    replace_weights(weights, 1)
    second = predictor_of(str(weights), "cpu")
    assert second.model.sha256 != first.model.sha256
    assert predictor_of(str(weights), "cpu") is second


def test_a_dense_head_that_comes_later_is_loaded(weights, dense_head_for):
    assert predictor_of(str(weights), "cpu").model.dense is None
    dense_head_for(weights)
    assert predictor_of(str(weights), "cpu").model.dense is not None


def test_a_model_that_changes_while_it_is_loaded_is_not_taken(weights, monkeypatch):
    load = models.load_model

    def load_and_replace(*args, **named):
        loaded = load(*args, **named)
        replace_weights(weights, 1)
        return loaded

    monkeypatch.setattr(models, "load_model", load_and_replace)
    with pytest.raises(CheckpointError, match="changed while it was loaded"):
        predictor_of(str(weights), "cpu")
    monkeypatch.undo()
    assert predictor_of(str(weights), "cpu").model.sha256 == models.load_model(weights).sha256
