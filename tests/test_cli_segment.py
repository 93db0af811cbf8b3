"""``napari-samv1 segment`` and ``score``, from words to exit status."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import tifffile
import torch

from locked import lock
from napari_samv1.batch import cluster
from napari_samv1.batch.cluster import ClusterError, OtherVersionError
from napari_samv1.batch.settings import command_for
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.cli import main
from small_model import CONFIG, picture, random_model

OTHERS_READERS = "ignore:unclosed file:ResourceWarning"  # those of napari's plugins, asked last
ALL = ["--mode", "grid", "--points-per-side", "2", "--pred-iou-thresh", "0", "--stability-score-thresh", "0"]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "raw"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(("a.npy", "deep/b.npy")):
        np.save(folder / name, picture(60, 50, seed=i)[..., 0])
    return folder


@pytest.fixture
def segment(tmp_path, images):
    model = tmp_path / "random.pt"
    torch.save(to_published(random_model().network.state_dict(), CONFIG), model)

    def run(*words, settings=ALL, image=images):
        own = ["--model", str(model), "--device", "cpu", *settings]
        return main(["segment", str(image), "--output", str(tmp_path / "out"), *own, *map(str, words)])

    return run


def test_a_folder_of_images_becomes_a_folder_of_labels(segment, tmp_path, capsys):
    assert segment() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("2 done: ")
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.tif")}
    assert written == {"a.tif", "deep/b.tif"}
    assert segment() == 0
    assert "2 skipped: 0 objects" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_utf8_is_segmented_and_told(segment, images, tmp_path, monkeypatch):
    np.save(images / "caf\udce9.npy", picture(60, 50)[..., 0])
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    assert segment("--format", "tif", "--format", "coco", "--format", "csv") == 0
    out.flush()
    assert rb"caf\udce9.npy: " in out.buffer.getvalue()
    assert (tmp_path / "out" / "caf\udce9.tif").exists()
    [coco] = json.loads((tmp_path / "out" / "caf\udce9.coco.json").read_text("utf-8"))["images"]
    assert coco["file_name"] == "caf\udce9.npy"
    assert segment("--json") == 0


def test_settings_that_toml_cannot_hold_are_told(segment, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["segment", "--model", "/caf\udce9.pt", "--save-settings", str(tmp_path / "s.toml")])
    assert "which TOML cannot hold: rename the file" in capsys.readouterr().err
    assert not (tmp_path / "s.toml").exists()


@pytest.mark.filterwarnings(OTHERS_READERS)
def test_a_broken_image_is_status_one_and_the_others_are_done(segment, images, capsys):
    (images / "bad.tif").write_bytes(b"nonsense")
    assert segment() == 1
    out = capsys.readouterr().out
    assert "bad.tif: FAILED: " in out
    assert out.splitlines()[-1].startswith("2 done, 1 failed: ")


def test_a_folder_that_cannot_be_read_fails_and_the_others_are_done(segment, images, monkeypatch, capsys):
    lock(images / "deep", monkeypatch)
    assert segment() == 1
    out = capsys.readouterr().out
    assert f"deep: FAILED: {images / 'deep'} cannot be read: Permission denied" in out
    assert out.splitlines()[-1].startswith("1 done, 1 failed: ")
    assert segment(image=images / "deep" / "b.npy") == 1
    assert "b.npy cannot be read: Permission denied" in capsys.readouterr().out
    for words in (["--output", images / "deep" / "out"], ["--prompts", images / "deep" / "b.csv"]):
        with pytest.raises(SystemExit) as stopped:
            segment(*words)
        assert stopped.value.code == 2
        assert capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names on this system")
def test_a_pipe_in_a_folder_is_left_out_and_one_that_is_named_fails(segment, images, capsys):
    os.mkfifo(images / "z.tif")
    assert segment() == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 done: ")
    assert segment(image=images / "z.tif") == 1
    assert "z.tif is a pipe or a device, and a file is expected" in capsys.readouterr().out


@pytest.mark.filterwarnings(OTHERS_READERS)
def test_json_is_an_object_for_each_image_and_the_summary(segment, images, tmp_path, capsys):
    (images / "bad.tif").write_bytes(b"nonsense")
    assert segment("--json") == 1
    *outcomes, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert {one["status"] for one in outcomes} == {"done", "failed"}
    done = [one for one in outcomes if one["status"] == "done"]
    assert all(len(one["outputs"]) == 1 and one["seconds"] > 0 and not one["error"] for one in done)
    assert (summary["done"], summary["failed"], summary["skipped"]) == (2, 1, 0)
    assert summary["objects"] == sum(one["objects"] for one in outcomes)


def test_settings_are_saved_and_taken_again(segment, tmp_path, capsys):
    file = tmp_path / "settings" / "mine.toml"
    assert segment("--format", "csv", "--save-settings", file) == 0
    saved = tomllib.loads(file.read_text())
    assert saved["formats"] == ["csv"]
    assert saved["automatic"]["points_per_side"] == 2
    assert segment("--settings", file, settings=[]) == 0
    assert "2 skipped" in capsys.readouterr().out
    assert segment("--settings", file, settings=["--points-per-side", "1"]) == 0
    assert "2 done" in capsys.readouterr().out


def test_settings_can_be_saved_without_an_image(tmp_path):
    file = tmp_path / "mine.toml"
    assert main(["segment", "--detail", "whole", "--save-settings", str(file)]) == 0
    assert tomllib.loads(file.read_text())["automatic"]["detail"] == "whole"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name at least one image"),
        (["nowhere.tif", "-o", "out"], "there is no file or folder nowhere.tif"),
        (["."], "name a folder for the outputs"),
        ([".", "-o", "out", "--mode", "all"], "mode must be one of auto, seeds, grid"),
        ([".", "-o", "out", "--plane", "first"], "--plane must be numbers such as 3 or 0,3"),
        ([".", "-o", "out", "--intensity", "bright"], "--intensity must be LOW,HIGH"),
        ([".", "-o", "out", "--settings", "none.toml"], "none.toml could not be read"),
        ([".", "-o", "out", "--workers", "0"], "--workers must be 1 or more"),
        ([".", "-o", "out", "--scheduler", ""], "--scheduler must be an address such as tcp://node1:8786"),
        ([".", "-o", "out", "--detail", "abc"], "must be a number, whole or auto, got 'abc'"),
        ([".", "-o", "out", "--intensity", "10,5"], "the lower one first"),
        (["--save-settings", "."], "--save-settings . could not be written"),
        (["raw.npy", "-o", "mine.txt"], "mine.txt is no folder to write to"),
        (["raw.npy", "-o", "out", "--model", "none"], "no known model of that name (tiny"),
        (["raw.npy", "-o", "out", "--model", "vit_h"], "napari-samv1 models download vit_h"),
        (["raw.npy", "-o", "out", "--device", "abacus"], "device must be 'auto', 'cpu'"),
        (["raw.npy", "-o", "out", "--prompts", "out/raw.tif"], "raw.tif would be replaced by its own output"),
        ([".", "-o", "out", "--prompts", "none.csv"], "no file or folder none.csv"),
    ],
)
def test_misuse_is_status_two_and_says_what_would_be_right(words, why, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("raw.npy", np.zeros((9, 9), np.uint8))
    (tmp_path / "out").mkdir()
    (tmp_path / "mine.txt").touch()
    (tmp_path / "out" / "raw.tif").write_bytes(b"mine")
    with pytest.raises(SystemExit) as stopped:
        main(["segment", *words])
    assert stopped.value.code == 2
    assert (tmp_path / "out" / "raw.tif").read_bytes() == b"mine"
    assert why in capsys.readouterr().err


def test_a_model_that_is_a_file_has_its_whole_path_for_workers_and_in_settings_the_given_one(
    segment, tmp_path, monkeypatch
):
    tasks = []
    monkeypatch.setattr(cluster, "on_cluster", lambda given, *_: tasks.extend(given) or iter(()))
    monkeypatch.chdir(tmp_path)
    words = ["--scheduler", "tcp://127.0.0.1:1", "--save-settings", "mine.toml", "--model"]
    segment(*words, "random.pt")
    assert {one.settings.model for one in tasks} == {str(tmp_path / "random.pt")}
    assert tomllib.loads((tmp_path / "mine.toml").read_text())["model"] == "random.pt"
    tasks.clear()
    segment(*words, "tiny")
    assert {one.settings.model for one in tasks} == {"tiny"}


@pytest.mark.parametrize(("error", "status"), [(OtherVersionError("so"), 2), (ClusterError("so"), 1)])
def test_a_cluster_that_cannot_be_used_is_a_sentence(segment, error, status, monkeypatch, capsys):
    def refuse(*_, **__):
        raise error
        yield

    monkeypatch.setattr(cluster, "on_cluster", refuse)
    assert segment("--scheduler", "tcp://127.0.0.1:1") == status
    assert capsys.readouterr().err == "napari-samv1: so\n"


def test_a_cluster_without_workers_is_told_of_on_stderr(segment, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "on_cluster", lambda tasks, address, on_wait: iter([on_wait()][:0]))
    segment("--scheduler", "tcp://127.0.0.1:1")
    assert capsys.readouterr().err == "napari-samv1: waiting for workers at tcp://127.0.0.1:1\n"


def test_a_reader_that_has_seen_enough_is_no_error(images, tmp_path):
    script = "import sys; from napari_samv1.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "segment", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        words = process.stderr.read()
    assert words == b""


def test_a_second_run_into_the_folder_of_the_images_skips_them(segment, images, capsys):
    assert segment("--output", images) == 0
    assert segment("--output", images) == 0
    assert "2 skipped: 0 objects" in capsys.readouterr().out.splitlines()[-1]
    assert segment("--output", images / "labels") == 0
    assert segment("--output", images / "labels") == 0
    assert "2 skipped: 0 objects" in capsys.readouterr().out.splitlines()[-1]


def test_the_command_for_saved_settings_is_one_that_a_shell_takes():
    assert command_for("my settings.toml", "raw", "out") == (
        "napari-samv1 segment raw --output out --settings 'my settings.toml'"
    )


def test_scores_are_a_table_or_json(tmp_path, capsys):
    truth = np.zeros((8, 8), np.uint16)
    truth[:4, :4], truth[5:, 5:] = 1, 2
    labels = np.where(truth == 1, 9, 0).astype(np.uint16)
    for name, pixels in (("truth.tif", truth), ("labels.tif", labels)):
        tifffile.imwrite(tmp_path / name, pixels)
    files = [str(tmp_path / "labels.tif"), str(tmp_path / "truth.tif")]
    assert main(["score", *files]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[3:] == [*(f"AP{n}" for n in range(50, 100, 5)), "mSA"]
    assert line.split() == ["labels.tif", "1", "2", *["0.50"] * 11]
    assert main(["score", *files, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["total"]["msa"] == 0.5
    assert content["images"][0]["average_precision"]["0.5"] == 0.5


def test_labels_of_another_shape_cannot_be_scored(tmp_path, capsys):
    for name, side in (("a.tif", 4), ("b.tif", 5)):
        tifffile.imwrite(tmp_path / name, np.zeros((side, side), np.uint16))
    with pytest.raises(SystemExit) as stopped:
        main(["score", str(tmp_path / "a.tif"), str(tmp_path / "b.tif")])
    assert stopped.value.code == 2
    assert "cannot be scored against a truth of" in capsys.readouterr().err
