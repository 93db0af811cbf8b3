from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.folders import cache_folder, weights_path
from napari_samv1.checkpoints.registry import MODELS


def test_the_environment_chooses_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAMV1_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    assert weights_path("a.pth").is_relative_to(tmp_path)
    monkeypatch.setenv("NAPARI_SAMV1_CACHE", "~/weights")
    assert cache_folder() == Path.home() / "weights"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_otherwise_it_is_the_platforms(value, monkeypatch):
    if value is None:
        monkeypatch.delenv("NAPARI_SAMV1_CACHE")
    else:
        monkeypatch.setenv("NAPARI_SAMV1_CACHE", value)
    assert cache_folder().is_relative_to(Path(platformdirs.user_cache_dir()))


@pytest.mark.parametrize(
    "name", ["../a.pth", "a/b.pth", "/etc/passwd", "..", "", "a\\b", "C:evil.pth", "a\0b"]
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(CheckpointError, match="plain name"):
        weights_path(name)


def test_known_models_lie_in_files_of_their_own():
    paths = {model.path for model in MODELS.values()}
    assert len(paths) == len(MODELS)
    assert MODELS["vit_b"].path.name == "sam_vit_b_01ec64.pth"


def test_every_download_has_a_digest_a_licence_and_a_citation():
    for model in MODELS.values():
        assert model.licence
        assert model.citation
        if model.is_bundled:
            continue
        algorithm, _, digits = model.digest.partition(":")
        assert len(bytes.fromhex(digits)) == {"sha256": 32, "xxh128": 16}[algorithm]
        assert model.url.startswith("https://")
