"""The benchmarks run, on little work; what they measure is nobody's promise here."""

from __future__ import annotations

import dataclasses
from mmap import mmap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
# of the bundled model's input: fewer pixels, at which its masks in bfloat16 still hold the limit
SIDE = 256


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


@pytest.fixture
def gpu(monkeypatch):
    """The benchmark of GPUs, with as little to look at as there can be, and by few pixels."""
    from benchmarks import gpu

    load_model = gpu.load_model

    def seeing_little(name, **named):
        model = load_model(name, **named)
        return dataclasses.replace(model, preparation=dataclasses.replace(model.preparation, side=SIDE))

    monkeypatch.setattr(gpu, "load_model", seeing_little)
    monkeypatch.setattr(gpu, "scenes", lambda count: [])
    return gpu


def small(gpu, **changes):
    return dataclasses.replace(gpu.small(torch.device("cpu")), **changes)


def test_what_is_measured_on_a_gpu_runs_small_on_the_cpu(gpu):
    run = gpu.Run(600)
    text = gpu.compare(small(gpu), run)
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    measured = {row[0]: row[1:] for row in cells}
    kinds = ("float32", "bfloat16", "bfloat16, kernel by kernel")
    ways = ("maps stay", "maps on the CPU", "best mask, to a crop", "best tenth, to crops")
    assert {f"toy, ours, {kind}" for kind in kinds} <= set(measured)
    for precision in ("float32", "float16"):
        assert {f"{points}, {precision}, {way}" for points in (1, 3) for way in ways} <= set(measured)
    assert {"embed 303 x 384", "embed 600 x 600 RGB", "its pixels alone, by Pillow"} <= set(measured)
    assert not run.left_out
    assert not run.wrong
    assert "WRONG" not in text
    assert "Pixels by Pillow and by the device: the same." in text
    assert float(measured["toy, ours, float32"][-1]) < 1e-6
    assert float(measured["float32"][1]) == 1
    assert float(measured["bfloat16"][1]) > 0.99
    clicks, mean, *_ = measured["tiny"]
    assert int(clicks) == 4
    assert 0.99 < float(mean) < 1


def test_cases_for_which_no_time_is_left_are_named_and_nothing_passes(gpu):
    run = gpu.Run(0)
    text = gpu.compare(small(gpu), run)
    [said] = [line for line in text.splitlines() if line.startswith("Left out for want of time: ")]
    for case in ("1, float16, maps stay", "embed 303 x 384", "decoder in float16, tiny", "toy on the CPU"):
        assert case in said
    assert "equality was not looked at, for want of time" in run.wrong
    assert "no encoding was compared" in run.wrong


def test_masks_that_differ_are_wrong_and_so_are_none(gpu, monkeypatch):
    ious = iter([[0.99, 0.97], [], [0.98]])
    monkeypatch.setattr(gpu, "mask_ious", lambda right, found: next(ious))
    run = gpu.Run(600)
    gpu.equality(small(gpu, clicks=1), run)
    gpu.half_decoder(small(gpu, clicks=1), run)
    assert run.wrong == [
        "bundled, float32: the mean mask IoU is 0.9800",
        "bundled, bfloat16: the mean mask IoU is nan",
        "tiny: the mean mask IoU of a decoder in float16 is 0.9800",
    ]


def test_a_decoder_that_moves_masks_or_answers_otherwise_each_time_is_wrong(gpu, monkeypatch):
    from napari_samv1.model import Sam

    draw, drawn = Sam.draw, []

    def moved(network, attended):
        drawn.append(1)
        is_half = network.mask_decoder.iou_token.dtype == torch.float16
        return draw(network, attended) - (3 + len(drawn) if is_half else 0)

    monkeypatch.setattr(Sam, "draw", moved)
    run = gpu.Run(600)
    gpu.half_decoder(small(gpu), run)
    assert run.wrong[0] == "tiny: the same clicks have other logits"
    assert run.wrong[1].startswith("tiny: the mean mask IoU of a decoder in float16 is 0.")


def test_a_decoder_that_overflows_is_wrong(gpu, monkeypatch):
    from napari_samv1.model import Sam

    draw = Sam.draw

    def too_large(network, attended):
        is_half = network.mask_decoder.iou_token.dtype == torch.float16
        return draw(network, attended) + (torch.inf if is_half else 0)

    monkeypatch.setattr(Sam, "draw", too_large)
    run = gpu.Run(600)
    text = gpu.half_decoder(small(gpu), run)
    assert run.wrong == ["tiny: it was not decoded in float16"]
    assert "| tiny | 4 | 1.0000" in text
    assert any("too large for float16" in said for said in run.warned)


class Graphs:
    """A device that records, or fails to, as CUDA does."""

    def __init__(self, monkeypatch, gpu, replayed=lambda output: output, error=None):
        from napari_samv1.engine import frugal, staged
        from napari_samv1.model.capture import Recording

        def record(work, device, pool=None):
            if error is not None:
                raise error
            output = work().clone()
            return Recording(lambda: output.copy_(replayed(work())), output, 100, object())

        for module in (staged, frugal, gpu):
            monkeypatch.setattr(module, "can_record", lambda device: True)
        monkeypatch.setattr(staged, "record", record)
        monkeypatch.setattr(staged, "total_bytes", lambda device: 10**9)


def test_encodings_that_are_recorded_and_equal_are_right(gpu, monkeypatch):
    Graphs(monkeypatch, gpu)
    run = gpu.Run(600)
    gpu.encoding(small(gpu), run)
    assert not run.wrong


@pytest.mark.parametrize(
    "error", [RuntimeError("operation not permitted when stream is capturing"), torch.OutOfMemoryError()]
)
def test_where_recording_fails_encodings_are_measured_and_it_is_wrong(gpu, monkeypatch, error):
    Graphs(monkeypatch, gpu, error=error)
    run = gpu.Run(600)
    text = gpu.encoding(small(gpu), run)
    assert run.wrong == [f"toy, ours, {dtype}: it was not recorded" for dtype in ("float32", "bfloat16")]
    assert "| toy, ours, float32 | " in text


@pytest.mark.parametrize("replayed", [lambda output: output + 0.01, lambda output: output * torch.nan])
def test_recordings_that_give_other_tokens_are_wrong(gpu, monkeypatch, replayed):
    Graphs(monkeypatch, gpu, replayed)
    run = gpu.Run(600)
    gpu.encoding(small(gpu), run)
    assert any(said.startswith("toy, ours, float32: tokens differ by ") for said in run.wrong)
    assert not any("kernel by kernel" in said for said in run.wrong)


def test_memory_that_runs_out_in_one_case_leaves_the_others(gpu, monkeypatch):
    from benchmarks.implementations import Ours

    def short(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(Ours, "predict", short)
    run = gpu.Run(600)
    text = gpu.decoding(small(gpu, points=(1,)), run)
    ways = [f"1, float{bits}, {way}" for bits in (32, 16) for way in ("maps stay", "maps on the CPU")]
    assert run.wrong == [
        f"{way}: OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB" for way in ways
    ]
    assert "| 1, float16, best mask, to a crop | " in text


def test_pixels_that_differ_are_wrong(gpu, monkeypatch):
    prepare, prepared = gpu.prepare, []

    def other(*given, **named):
        prepared.append(1)
        return prepare(*given, **named) + len(prepared)

    monkeypatch.setattr(gpu, "prepare", other)
    run = gpu.Run(600)
    assert "NOT the same" in gpu.pixels_equal(small(gpu), run)
    assert run.wrong == ["pixels by Pillow and by the device are not the same"]


def test_what_is_wrong_is_printed_and_is_the_status(gpu, monkeypatch, capsys):
    def compare(work, run):
        run.check("masks differ", False)
        return "| a table |"

    monkeypatch.setattr(gpu, "compare", compare)
    monkeypatch.setattr("sys.argv", ["gpu", "--small", "--device", "cpu"])
    assert gpu.main() == 1
    said = capsys.readouterr()
    assert "| a table |" in said.out
    assert "masks differ" in said.err
    monkeypatch.setattr(gpu, "compare", lambda work, run: "| a table |")
    assert gpu.main() == 0


def test_memory_and_name_of_a_card_are_asked_for_as_torch_has_it(gpu, monkeypatch):
    from unittest.mock import create_autospec

    device, held = torch.device("cuda"), iter((5_000_000, 7_000_000))
    for name, answer in {
        "empty_cache": None,
        "reset_peak_memory_stats": None,
        "synchronize": None,
        "memory_allocated": lambda device: next(held),
        "max_memory_allocated": lambda device: next(held),
        "get_device_properties": lambda device: SimpleNamespace(name="NVIDIA H200", total_memory=2**37),
    }.items():
        own = create_autospec(getattr(torch.cuda, name), side_effect=answer)
        monkeypatch.setattr(torch.cuda, name, own)
    assert gpu.peak(lambda: None, device) == "2"
    assert gpu.device_in_words(device).startswith("NVIDIA H200, 128 GiB; CUDA ")
    run = gpu.Run(600)
    run.milliseconds |= {"vit_b, ours, bfloat16": 8.9, "1, float16, best mask, to a crop": 3.1}
    run.milliseconds |= {"vit_b, published, float32": 40.05, "vit_b, published, bfloat16 autocast": 22.25}
    run.megabytes |= {"vit_b, ours, bfloat16": 250, "vit_b, published, bfloat16 autocast": 2000}
    assert gpu.beside_published(gpu.whole(device), run).splitlines()[2:] == ["| vit_b | 2.50 | 4.50 | 0.12 |"]
    assert gpu.targets(run).splitlines()[2:] == [
        "| vit_b, ours, bfloat16 | 8.9 | 9 | yes |",
        "| 1, float16, best mask, to a crop | 3.1 | 3 | NO |",
    ]


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


def test_a_benchmark_that_fails_says_what_it_found_and_leaves_the_last_results(monkeypatch, tmp_path, capsys):
    import subprocess

    from benchmarks import __main__ as main

    monkeypatch.setattr(main, "RESULTS", tmp_path / "results.md")
    done = subprocess.CompletedProcess([], 1, stdout="WRONG: masks differ.")
    monkeypatch.setattr(main.subprocess, "run", lambda words, **_: done)
    monkeypatch.setattr("sys.argv", ["benchmarks", "gpu"])
    assert main.main() == 1
    assert "WRONG: masks differ." in capsys.readouterr().out
    assert not main.RESULTS.exists()
