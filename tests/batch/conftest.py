"""A checkpoint of random weights that loads and encodes in milliseconds, and images for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_samv1.batch.segment import Task
from napari_samv1.batch.settings import SegmentSettings
from napari_samv1.checkpoints.dense import head_path, save_head
from napari_samv1.checkpoints.digests import Digests
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.model.dense_head import DenseHead, DenseHeadConfig
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration
from small_model import CONFIG, random_model

# whatever the random weights answer is kept
ALL = AutomaticSettings(mode="grid", points_per_side=3, pred_iou_thresh=0, stability_score_thresh=0)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "random.pt"
    torch.save(to_published(random_model().network.state_dict(), CONFIG), path)
    return path


@pytest.fixture
def settings(checkpoint):
    return SegmentSettings(model=str(checkpoint), device="cpu", automatic=ALL)


@pytest.fixture
def dense_head_for():
    """A function that writes a random dense head of some width beside a weight file."""

    def write(weights, width=6):
        head = DenseHead(DenseHeadConfig(channels=8, width=width, depth=2, fine_width=4, fine_depth=3))
        save_head(head_path(weights), head, Calibration(), Digests.of_file(weights).sha256)

    return write


@pytest.fixture
def task_for(tmp_path, settings):
    """A task for a file, with some settings changed."""

    def make(path, **changed):
        own = {name: changed.pop(name) for name in ("prompts", "stem") if name in changed}
        stem = own.get("stem", path.stem)
        return Task(path, stem, tmp_path / "out", replace(settings, **changed), own.get("prompts"))

    return make
