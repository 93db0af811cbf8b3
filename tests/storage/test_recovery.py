"""What is wrong with one autosaved session hides no other."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from napari_samv1.storage.session import limits, recovery
from napari_samv1.storage.session.autosave import Autosave
from napari_samv1.storage.session.folder import save_session
from napari_samv1.storage.session.recovery import recoverable

from .conftest import crop, one_object, session_of, small_plane

BAD = "20250101-000000-1-bad"


@pytest.fixture
def root(tmp_path):
    """Two sessions that processes left, and a folder in between for a test to spoil."""
    for _ in range(2):
        saving = Autosave(tmp_path)
        saving.offer(session_of(small_plane(one_object(1, crop(slice(0, 3), slice(0, 9))))))
        saving.close(clean=False)
    return tmp_path


def content(root: Path) -> dict:
    folder = save_session(root / BAD, session_of(small_plane(one_object(1, crop(slice(0, 3), slice(0, 9))))))
    return json.loads((folder / "session.json").read_text("utf-8"))


def text(root: Path, edit) -> None:
    whole = content(root)
    piece = whole["images"][0]["planes"][0]["pieces"][0]
    edit(whole, piece)
    written = json.dumps(whole).replace('"HUGE"', "1" + "0" * 400)
    (root / BAD / "session.json").write_bytes(written.encode())


def edited(edit):
    return lambda root: text(root, edit)


def raw(data: bytes):
    def make(root: Path) -> None:
        (root / BAD).mkdir()
        (root / BAD / "session.json").write_bytes(data)

    return make


def huge(root: Path) -> None:
    (root / BAD).mkdir()
    with (root / BAD / "session.json").open("wb") as file:
        file.truncate(limits.MOST_TEXT_BYTES + 1)


def a_folder(root: Path) -> None:
    (root / BAD / "session.json").mkdir(parents=True)


def a_pipe(root: Path) -> None:
    (root / BAD).mkdir()
    os.mkfifo(root / BAD / "session.json")


def a_link_to_nothing(root: Path) -> None:
    (root / BAD).mkdir()
    (root / BAD / "session.json").symlink_to(root / "nowhere")


def a_link_to_what_never_ends(root: Path) -> None:
    (root / BAD).mkdir()
    (root / BAD / "session.json").symlink_to("/dev/zero")


def no_labels(root: Path) -> None:
    def edit(whole, _piece):
        whole["images"][0]["planes"][0]["beneath"] = "b" * 64

    text(root, edit)


SPOILED = {
    "a score of 10^400": edited(lambda _, piece: piece["answer"]["iou"].__setitem__(0, "HUGE")),
    "a threshold of 10^400": edited(lambda _, piece: piece["settings"].__setitem__("threshold", "HUGE")),
    "a number of 10^400": edited(lambda _, piece: piece.__setitem__("id", "HUGE")),
    "a coordinate of 10^400": edited(
        lambda _, piece: piece["prompts"]["points_yx"][0].__setitem__(0, "HUGE")
    ),
    "surrogates": edited(
        lambda whole, _: whole["images"][0]["planes"][0]["source"].__setitem__("dtype", "\ud800")
    ),
    "a wrong type": edited(lambda whole, _: whole.__setitem__("images", "none")),
    "a list of numbers": raw(b"[1, 2]"),
    "a string": raw(b'"napari-samv1 session"'),
    "null": raw(b"null"),
    "nothing": raw(b""),
    "no text": raw(b"\xff\xfe\0"),
    "nested deep": raw(b"[" * 200_000),
    "huge": huge,
    "a folder": a_folder,
    "no labels": no_labels,
}
UNIX = {
    "a pipe": a_pipe,
    "a link to nothing": a_link_to_nothing,
    "a link to what never ends": a_link_to_what_never_ends,
}
if sys.platform != "win32":
    SPOILED |= UNIX


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_one_bad_folder_hides_no_other(root, spoil):
    good = {entry.name for entry in root.iterdir() if entry.is_dir()}
    spoil(root)
    found = recoverable(root)
    assert {one.folder.name for one in found if one.record is not None} >= good
    for one in found:
        if one.folder.name == BAD:
            assert bool(one.problem) == (one.record is None)
            assert "\n" not in one.problem
            assert len(one.problem) < 1000
            assert one.discard()
    assert {entry.name for entry in root.iterdir() if entry.is_dir()} == good


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nobody may not read here")
def test_a_folder_that_cannot_be_read_is_told_and_not_removed(root):
    content(root)
    (root / BAD).chmod(0)
    try:
        found = {one.folder.name: one for one in recoverable(root)}
    finally:
        (root / BAD).chmod(0o700)
    assert len(found) == 3
    assert "cannot be read" in found[BAD].problem
    assert (root / BAD / "session.json").exists()


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")]
)
def test_a_disk_that_fails_for_one_folder_is_told_and_nothing_is_removed(root, monkeypatch, error):
    content(root)

    def fails(path, *_args, **_keywords):
        if BAD in str(path):
            raise error
        return original(path)

    original = os.path.lexists
    monkeypatch.setattr(recovery.os.path, "lexists", fails)
    found = {one.folder.name: one for one in recoverable(root)}
    assert len(found) == 3
    assert found[BAD].problem.endswith(f"cannot be read: {error.strerror}")
    monkeypatch.undo()
    assert (root / BAD / "session.json").exists()


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), ZeroDivisionError()])
def test_whatever_opening_one_raises_the_others_are_offered(root, monkeypatch, error):
    content(root)

    def opened(folder):
        if folder.name == BAD:
            raise error
        return original(folder)

    original = recovery.open_session
    monkeypatch.setattr(recovery, "open_session", opened)
    found = {one.folder.name: one for one in recoverable(root)}
    assert len(found) == 3
    assert "cannot be opened: " in found[BAD].problem
    assert sum(one.record is not None for one in found.values()) == 2


def test_a_lock_that_goes_while_it_is_looked_at_hides_nothing(root, monkeypatch):
    (root / "20240101-000000-1-gone.lock").touch()
    original = Path.stat

    def stat(self, **keywords):
        if "gone" in self.name:
            raise FileNotFoundError(2, "No such file")
        return original(self, **keywords)

    monkeypatch.setattr(Path, "stat", stat)
    assert len(recoverable(root)) == 2
