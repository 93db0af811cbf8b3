from __future__ import annotations

import pytest

from napari_samv1.batch.inputs import inputs
from napari_samv1.images.source import ReadError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.tif", "b.ome.tif", "notes.txt", ".hidden.tif", "sub/c.png", "sub/d.zarr/0/x.npy"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def stems(words):
    return [one.stem for one in inputs([str(word) for word in words])]


def test_a_folder_is_searched_for_images_and_keeps_their_paths(folder):
    assert stems([folder]) == ["a", "b", "sub/c", "sub/d"]


def test_a_file_goes_by_its_name_and_a_pattern_by_what_is_below_its_fixed_part(folder):
    assert stems([folder / "sub" / "c.png"]) == ["c"]
    assert stems([folder / "**" / "*.png"]) == ["sub/c"]
    assert stems([folder / "s*" / "*.png"]) == ["sub/c"]


def test_names_that_would_collide_keep_their_suffix(folder):
    (folder / "a.png").touch()
    assert stems([folder]) == ["a.png", "a.tif", "b", "sub/c", "sub/d"]


def test_an_image_that_is_named_twice_is_one(folder):
    assert stems([folder / "a.tif", folder / "*.tif"]) == ["a", "b"]


def test_outputs_that_cannot_be_told_apart_are_refused(folder):
    (folder / "sub" / "a.tif").touch()
    with pytest.raises(ReadError, match="would both be written to"):
        stems([folder / "a.tif", folder / "sub" / "a.tif"])


@pytest.mark.parametrize(
    ("word", "why"), [("nowhere.tif", "no file"), ("*.jpg", "nothing matches"), ("sub/d.zarr/0", "no image")]
)
def test_what_names_no_image_is_refused(folder, word, why):
    if "d.zarr" in word:
        (folder / word / "x.npy").unlink()
    with pytest.raises(ReadError, match=why):
        stems([folder / word])
