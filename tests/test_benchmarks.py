"""The benchmarks run, on little work; what they measure is nobody's promise here."""

from __future__ import annotations

from mmap import mmap
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def test_encoding_is_compared_with_itself_where_the_others_cannot_follow(monkeypatch):
    from benchmarks import encode, implementations

    from napari_samv1.model import SamConfig

    small = SamConfig(width=16, depth=4, heads=2, grid=4, window=3)
    monkeypatch.setitem(implementations.SIZES, "vit_b", small)
    monkeypatch.setattr(encode, "fresh", lambda *_, **__: 1.0)
    text = encode.compare("vit_b", rounds=1, side=64)
    assert [line.split(" | ")[0] for line in text.splitlines()[4:]] == [
        "| ours",
        "| ours, bfloat16",
        "| ours, 3:2",
        "| ours, bfloat16, 3:2",
    ]


def test_transformers_gets_every_weight_and_answers_as_we_do():
    import dataclasses

    from benchmarks.decode import asked
    from benchmarks.implementations import Ours, Transformers, difference, random_network

    from napari_samv1.model import VIT_B

    # its decoder is the published one whatever the encoder's depth
    network = random_network(dataclasses.replace(VIT_B, width=48, depth=4, heads=2))
    ours, theirs = Ours(network), Transformers(network)
    tokens = torch.randn(1, 256, 64, 64)
    prompts = asked(2, points=1, boxes=True)
    mine = ours.decode(ours.image(tokens), prompts)
    for own, expected in zip(mine, theirs.decode(tokens, prompts), strict=True):
        assert difference(own, expected) < 1e-4


def test_a_moved_point_reaches_the_labels_layer():
    from benchmarks.to_pixels import Annotation

    annotation = Annotation(512)
    before = annotation.binding.labels.data.copy()
    annotation.move()
    after = annotation.binding.labels.data
    assert before.any()
    assert after.any()
    assert (before != after).any()


def test_every_action_on_one_of_many_objects_changes_what_it_is_about(qapp, monkeypatch, tmp_path):
    from benchmarks.objects import Annotation

    from napari_samv1.app import models

    monkeypatch.setenv("NAPARI_SAMV1_STATE", str(tmp_path))
    monkeypatch.setattr(models, "load", models.load)  # the benchmark puts its own in its place
    annotation = Annotation(256, 9)
    binding = annotation.binding
    assert set(np.unique(binding.labels.data)) == set(range(10))
    annotation.choose()
    for act in (annotation.edit, annotation.cut, annotation.brush, annotation.undo):
        before = binding.labels.data.copy()
        act()
        assert (before != binding.labels.data).any(), act.__name__
    annotation.close()


def test_what_is_resident_beyond_before_is_measured():
    from benchmarks.measure import peak_beyond

    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux tells the peak of a part")

    def take() -> None:
        # straight from the system: malloc may hand out what an earlier test left resident
        with mmap(-1, 50_000_000) as pages:
            pages.write(b"1" * len(pages))

    assert peak_beyond(take) > 40


def test_sections_that_are_not_run_again_stay():
    from benchmarks.__main__ import read, written

    sections = {"encode": "a machine\n\n| a | b |", "start": "another"}
    assert read(written(sections)) == sections
