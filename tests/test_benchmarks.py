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


@pytest.mark.slow
def test_an_image_in_the_window_is_clicked_and_every_disc_found(qapp, monkeypatch, tmp_path):
    from benchmarks import window

    monkeypatch.setenv("NAPARI_SAMV1_STATE", str(tmp_path))
    monkeypatch.setattr(window, "peak_beyond", lambda work: work() or 1.0)
    opened = window.Window(2000, "screen")
    told = opened.told
    opened.close()
    assert told["iou"] > 0.95
    assert 0 < told["open"] < told["first"]
    # a region at least for each of five clicks, far apart, and what is drawn
    assert told["model pixels"] > 5 * 448**2
    assert told["drawn pixels"] > 0
    assert told["model reads"] >= 5


def test_without_a_screen_the_window_s_benchmark_says_what_is_missing(monkeypatch, capsys):
    from benchmarks import window

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.argv", ["window"])
    assert window.main() == 1
    assert "needs a screen" in capsys.readouterr().err


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


def test_what_is_measured_on_a_gpu_runs_small_on_the_cpu():
    from benchmarks import gpu

    text = gpu.compare(gpu.small(torch.device("cpu")), seconds=600)
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    measured = {row[0]: row[1:] for row in cells}
    kinds = ("float32", "bfloat16", "bfloat16, kernel by kernel")
    ways = ("maps stay", "maps on the CPU", "best mask, to a crop", "best tenth, to crops")
    assert {f"toy, ours, {kind}" for kind in kinds} <= set(measured)
    assert {f"{points}, {way}" for points in (1, 3) for way in ways} <= set(measured)
    assert {"embed 303 x 384", "embed 600 x 600 RGB", "its pixels alone, by Pillow"} <= set(measured)
    assert "Left out" not in text
    assert "Pixels by Pillow and by the device: the same." in text
    assert float(measured["toy, ours, float32"][-1]) < 1e-6
    assert float(measured["float32"][1]) == 1
    assert float(measured["bfloat16"][1]) > 0.99


def test_cases_for_which_no_time_is_left_are_named():
    from benchmarks import gpu

    text = gpu.compare(gpu.small(torch.device("cpu")), seconds=0)
    [said] = [line for line in text.splitlines() if line.startswith("Left out for want of time: ")]
    for case in ("1 points, maps stay", "embed 303 x 384", "equality of masks", "toy on the CPU"):
        assert case in said


def test_points_become_crops_only_where_they_score_best():
    from benchmarks.decode import asked
    from benchmarks.gpu import best, best_tenth, crops
    from benchmarks.implementations import Ours, random_network

    from napari_samv1.model import SamConfig

    ours = Ours(random_network(SamConfig(width=16, depth=4, heads=2, grid=4, window=3)))
    image, prompts = ours.image(torch.randn(1, 256, 4, 4)), asked(20, points=1, side=64)
    assert crops(ours.predictor, image, prompts, best) == 20
    iou = np.array([[9, 1, 2, 3]] * 19 + [[9, 1, 5, 4]], dtype=np.float32)
    assert np.argwhere(best([], iou))[:, 1].tolist() == [3] * 19 + [2]
    assert np.argwhere(best_tenth([], iou[-10:])).tolist() == [[9, 2]]


def test_without_a_gpu_its_benchmark_says_what_is_missing(monkeypatch, capsys):
    from benchmarks import gpu

    monkeypatch.setattr("sys.argv", ["gpu", "--device", "cpu"])
    assert gpu.main() == 1
    assert "this benchmark is for GPUs" in capsys.readouterr().err


def test_all_benchmarks_are_all_but_those_for_gpus(monkeypatch, tmp_path, capsys):
    import subprocess

    from benchmarks import __main__ as main

    run = []

    def started(words, **_):
        run.append(words[-1].removeprefix("benchmarks."))
        return subprocess.CompletedProcess(words, 0, stdout="| a table |")

    monkeypatch.setattr(main, "RESULTS", tmp_path / "results.md")
    monkeypatch.setattr(main.subprocess, "run", started)
    monkeypatch.setattr(main, "machine", lambda: "a machine")  # asks the system by a command
    monkeypatch.setattr("sys.argv", ["benchmarks"])
    assert main.main() == 0
    assert run == [name for name in main.NAMES if name != "gpu"]
    monkeypatch.setattr("sys.argv", ["benchmarks", "gpu"])
    assert main.main() == 0
    assert run[-1] == "gpu"
    assert "| a table |" in capsys.readouterr().out
    assert "## gpu" in main.RESULTS.read_text()
