"""``napari-samv1 embed`` and ``cache``: images encoded ahead, as views then find them."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

import napari_samv1
from napari_samv1 import Predictor, Prompts
from napari_samv1.cli import main
from napari_samv1.disk import embeddings
from napari_samv1.engine import view as view_module
from napari_samv1.records.preparation import Preparation
from small_model import picture, random_model


@pytest.fixture(autouse=True)
def model(monkeypatch):
    made = random_model(Preparation(side=64))
    monkeypatch.setattr(napari_samv1, "load_model", lambda *_, **__: made, raising=False)
    return made


@pytest.fixture
def encodings(monkeypatch):
    made = []
    encode = view_module.encode
    monkeypatch.setattr(view_module, "encode", lambda *a, **k: made.append(1) or encode(*a, **k))
    return made


def test_what_was_embedded_ahead_is_not_encoded_again(model, encodings, tmp_path, capsys):
    path, cache = tmp_path / "a.npy", str(tmp_path / "cache")
    np.save(path, picture(100, 130)[..., 0])
    assert main(["embed", str(path), "--cache", cache]) == 0
    # rows from 0, 32, 36 on, columns from 0, 32, 64, 66 on; and the whole image
    assert len(encodings) == 3 * 4 + 1
    captured = capsys.readouterr()
    assert "13 embeddings" in captured.out
    assert "13 of 13 regions" in captured.err
    assert main(["embed", str(path), "--cache", cache]) == 0
    view = Predictor(model).on_image(path, cache=cache)
    for detail in ("auto", "whole"):
        view.encode(view.grid(detail).nearest((50, 60)))
    view.answer(Prompts([(50, 60)], [1]), "whole")
    assert len(encodings) == 13


def test_planes_and_details_are_chosen(encodings, tmp_path):
    path, cache = tmp_path / "a.npy", str(tmp_path / "cache")
    np.save(path, np.stack([picture(100, 130)[..., 0]] * 5))
    assert main(["embed", str(path), "--cache", cache, "--detail", "whole"]) == 0
    assert len(encodings) == 5
    assert main(["embed", str(path), "--cache", cache, "--detail", "0.5", "--plane", "2"]) == 0
    assert len(encodings) == 5 + 2


def test_an_image_that_cannot_be_read_or_would_not_fit_is_a_sentence_and_the_others_go_on(
    encodings, tmp_path, capsys, monkeypatch
):
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    np.save(tmp_path / "a.npy", picture(100, 130)[..., 0])
    np.save(tmp_path / "small.npy", picture(64, 64)[..., 0])
    monkeypatch.setenv("NAPARI_SAMV1_EMBEDDINGS_DISK_MB", "0.05")
    files = [str(tmp_path / name) for name in ("bad.png", "missing.tif", "a.npy", "small.npy")]
    assert main(["embed", *files, "--cache", str(tmp_path / "cache")]) == 1
    told = capsys.readouterr().err
    assert "not an image of a supported format" in told
    assert "there is no file" in told
    assert "its 13 regions would take 0.0 GB of a cache of 5e-05 GB" in told
    assert "small.npy: 1 of 1 regions" in told


def test_a_cache_that_cannot_be_written_is_status_one_and_ends_the_run(
    encodings, tmp_path, capsys, monkeypatch
):
    path, cache = tmp_path / "a.npy", tmp_path / "cache"
    np.save(path, picture(100, 130)[..., 0])
    words = ["embed", str(path), str(path), "--cache", str(cache)]
    write, left = embeddings.write_file, [5]

    def write_or_refuse(*args):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*args)

    monkeypatch.setattr(embeddings, "write_file", write_or_refuse)
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith(
        f"napari-samv1: {path}: embeddings could not be written to {cache}: No space left on device; "
    )
    assert "5 embeddings" in captured.out
    assert len(encodings) == 6
    left[0] = 20
    assert main(words) == 0
    assert len(encodings) == 6 + 8
    # nothing is to be written
    assert left[0] == 12
    left[0] = 0
    assert main(words) == 0


def test_the_cache_tells_what_it_holds_and_is_cleared(tmp_path, capsys):
    path = tmp_path / "a.npy"
    np.save(path, picture(60, 60)[..., 0])
    assert main(["embed", str(path)]) == 0
    capsys.readouterr()
    assert main(["cache", "info"]) == 0
    told = capsys.readouterr().out
    assert "embeddings\n1 embeddings, 0.0 MB; at most 10 GB" in told
    assert main(["cache", "clear"]) == 0
    assert "removed 1 embeddings" in capsys.readouterr().out
    assert main(["cache", "info"]) == 0
    assert "\n0 embeddings, 0.0 MB" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["embed"],
        ["embed", "a", "--detail", "fine"],
        ["embed", "a", "--plane", "x"],
        ["cache"],
        ["cache", "burn"],
    ],
)
def test_misuse_is_status_two(words):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2


def test_a_file_in_place_of_the_cache_is_a_sentence(tmp_path, capsys):
    (tmp_path / "cache").write_text("")
    assert main(["cache", "info", "--cache", str(tmp_path / "cache")]) == 1
    assert "must be a folder" in capsys.readouterr().err
