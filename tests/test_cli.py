from __future__ import annotations

import sys
from importlib.metadata import version
from types import ModuleType

import pytest

from napari_samv1.checkpoints import download as download_module
from napari_samv1.checkpoints.errors import CheckpointError, DownloadError
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.cli import main


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAMV1_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def opened(monkeypatch):
    """What would have been opened in napari."""
    calls = []
    module = ModuleType("napari_samv1.widgets.launch")
    module.launch = lambda files, model, device: calls.append((files, model, device)) or 0
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def test_files_model_and_device_go_to_napari(opened, tmp_path):
    file, address = tmp_path / "a.tif", "https://example.org/b.tif"
    file.touch()
    assert main([str(file), address, "--model", "vit_b", "--device", "cpu"]) == 0
    assert main([]) == 0
    assert opened == [([str(file), address], "vit_b", "cpu"), ([], None, None)]


def test_a_file_that_is_not_there_is_status_two(opened, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["nowhere.tif"])
    assert stopped.value.code == 2
    assert "there is no file nowhere.tif" in capsys.readouterr().err
    assert opened == []


@pytest.mark.parametrize("name", ["cache", "embed", "models", "replay", "score", "segment", "train"])
def test_a_file_named_like_a_verb_is_opened_by_its_path(name, opened, tmp_path, monkeypatch):
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    path = f"./{name}"
    assert main([path]) == 0
    assert main(["--", name]) == 0
    assert opened == [([path], None, None), ([name], None, None)]


def test_an_error_is_one_sentence_and_status_one(opened, monkeypatch, capsys):
    def fail(*_):
        raise CheckpointError("x.pth is empty")

    monkeypatch.setattr(sys.modules["napari_samv1.widgets.launch"], "launch", fail)
    assert main(["--model", "x.pth"]) == 1
    assert capsys.readouterr().err == "napari-samv1: x.pth is empty\n"


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"napari-samv1 {version('napari-samv1')}\n"


@pytest.mark.parametrize(
    "words", [["--help"], ["replay", "--help"], ["models", "--help"], ["models", "download", "--help"]]
)
def test_help_is_status_zero(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    assert "usage: napari-samv1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--frobnicate"],
        ["segment"],
        ["segment", "a"],
        ["score", "a"],
        ["models", "burn"],
        ["models", "download", "vit_x"],
    ],
)
def test_misuse_is_status_two(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2


def test_models_lists_every_known_one_and_the_folder(capsys, cache):
    place(MODELS["vit_b"], b"x")
    place(MODELS["vit_l"], b"x" * 2_000_000, ".part")
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert rows.keys() >= MODELS.keys()
    assert " yes " in rows["vit_b"]
    assert " 2 MB of it " in rows["vit_l"]
    assert " no " in rows["vit_h"]
    assert "CC-BY-4.0" in rows["vit_b_lm"]
    assert str(cache) in out


def place(model, content, suffix=""):
    path = model.path.with_name(model.path.name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_verify_tells_a_wrong_file(capsys):
    place(MODELS["vit_b"], b"x")
    assert main(["models", "verify"]) == 1
    assert "is not the published vit_b" in capsys.readouterr().err


def test_verify_of_a_model_that_is_not_here_fails(capsys):
    assert main(["models", "verify", "vit_h"]) == 1
    assert str(MODELS["vit_h"].path) in capsys.readouterr().err


def test_verify_shows_the_hash_of_a_right_file(capsys, monkeypatch):
    from dataclasses import replace

    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    monkeypatch.setitem(MODELS, "vit_b", replace(MODELS["vit_b"], digest=f"sha256:{empty}"))
    place(MODELS["vit_b"], b"")
    assert main(["models", "verify", "vit_b"]) == 0
    assert empty in capsys.readouterr().out


def test_download_shows_progress_on_stderr_and_the_path_on_stdout(monkeypatch, capsys):
    def download(model, on_progress):
        for done in range(0, 101, 5):
            on_progress(done * 1_000_000, 100_000_000)
        return model.path

    monkeypatch.setattr(download_module, "download", download)
    assert main(["models", "download", "vit_b", "vit_b_lm"]) == 0
    captured = capsys.readouterr()
    assert str(MODELS["vit_b"].path) in captured.out
    assert "Kirillov" in captured.out
    lines = captured.err.splitlines()
    assert lines[0] == "vit_b: 0.0 of 100.0 MB (0%)"
    assert lines[10] == "vit_b: 100.0 of 100.0 MB (100%)"
    assert len(lines) == 22


def test_an_interrupted_download_says_that_it_continues(monkeypatch, capsys):
    def download(model, on_progress):
        place(model, bytes(1_500_000), ".part")
        raise KeyboardInterrupt

    monkeypatch.setattr(download_module, "download", download)
    assert main(["models", "download", "vit_b"]) == 1
    assert capsys.readouterr().err == (
        "napari-samv1: vit_b: stopped after 1.5 MB; run the same command to continue\n"
    )


def test_a_failed_download_is_one_sentence(monkeypatch, capsys):
    def download(model, on_progress):
        raise DownloadError("vit_b could not be fetched")

    monkeypatch.setattr(download_module, "download", download)
    assert main(["models", "download", "vit_b"]) == 1
    assert capsys.readouterr().err == "napari-samv1: vit_b could not be fetched\n"


def test_the_bundled_model_needs_no_download(capsys):
    assert main(["models", "download", "tiny"]) == 0
    assert "comes with the package" in capsys.readouterr().out
