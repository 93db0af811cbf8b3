"""A save that is killed, wherever it is: one session or the other, and no copy of another one beside it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.composite import label_image
from napari_samv1.storage.session.folder import open_session, save_session

from .conftest import assert_same_record

sys.path.append(str(Path(__file__).parent))
from save_victim import after, before


def listed(folder: Path) -> dict[str, str]:
    return dict(json.loads((folder / "session.json").read_text("utf-8"))["files"])


def copies(folder: Path) -> dict[str, str]:
    """The sha256 of every copy that is there."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.suffix in (".tif", ".csv") and not file.name.startswith((".", "beneath-"))
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each kill would cost a process that imports everything")
def test_a_kill_at_any_step_leaves_one_state_or_the_other(tmp_path):
    script = Path(__file__).with_name("save_victim.py")
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=300)
    folders = sorted(tmp_path.iterdir())
    assert len(folders) > 20
    seen = set()
    for folder in folders:
        assert copies(folder).items() <= listed(folder).items(), folder.name
        opened = open_session(folder)
        is_new = len(opened.images) == 1
        seen.add(is_new)
        assert_same_record(opened, after() if is_new else before())
        # what the kill left under temporary names is back
        assert copies(folder) == listed(folder), folder.name
        first = "labels.tif" if is_new else "labels-1.tif"
        np.testing.assert_array_equal(tifffile.imread(folder / first), label_image(opened.planes[0]))
        # and the next save clears up
        save_session(folder, after())
        assert sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(".")) == []
        assert copies(folder) == listed(folder)
        assert len(list(folder.glob("beneath-*"))) == 1
    assert seen == {True, False}


def test_a_copy_that_another_program_holds_open_is_named_and_nothing_changes(tmp_path, monkeypatch):
    folder = save_session(tmp_path / "s", before())
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    replace = Path.replace

    def held(self: Path, target: Path) -> Path:
        if self.name == "points-1.csv":
            raise PermissionError(13, "Permission denied")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", held)
        with pytest.raises(SessionError, match=r"points-1\.csv cannot be replaced .*close it"):
            save_session(folder, after())
    kept = {file.name: file.read_bytes() for file in folder.iterdir()}
    # labels beneath of the session that did not come to be may stay until the next save
    assert {name: content for name, content in kept.items() if name in files} == files
    assert all(name.startswith("beneath-") for name in kept.keys() - files.keys())


def test_a_copy_that_is_the_same_as_before_is_left_as_it_is(tmp_path):
    folder = save_session(tmp_path / "s", before())
    written = (folder / "labels-1.tif").stat().st_mtime_ns
    save_session(folder, before())
    assert (folder / "labels-1.tif").stat().st_mtime_ns == written


def test_only_copies_that_a_session_lists_are_put_back(tmp_path):
    folder = save_session(tmp_path / "s", after())
    (folder / "labels.tif").rename(folder / ".napari-samv1-labels.tif-other.part")
    (folder / ".napari-samv1-notes.txt-0.part").write_bytes(b"")
    open_session(folder)
    assert not (folder / "labels.tif").exists()
    assert not (folder / "notes.txt").exists()
