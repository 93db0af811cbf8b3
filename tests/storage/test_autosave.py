from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_samv1.storage.session import autosave as module
from napari_samv1.storage.session.autosave import Autosave, autosave_root
from napari_samv1.storage.session.folder import open_session
from napari_samv1.storage.session.record import SessionRecord
from napari_samv1.storage.session.recovery import recoverable

from .conftest import assert_same_record, crop, differences, one_object, session_of, small_plane
from .victim import beneath_number, object_number

KILLS = 52
LONG_KILLS = 3


def record_of(count: int) -> SessionRecord:
    plane = small_plane(
        *(one_object(number, crop(slice(0, number), slice(0, 9))) for number in range(1, count + 1))
    )
    return session_of(plane)


@pytest.fixture(autouse=True)
def _no_thread_stays():
    yield
    assert not [one for one in threading.enumerate() if one.name == "napari-samv1 autosave"]


def test_an_offer_is_saved_and_a_clean_close_leaves_nothing(rich_record, tmp_path):
    saving = Autosave(tmp_path / "root")
    saving.offer(rich_record)
    assert saving.flush()
    assert_same_record(open_session(saving.folder), rich_record)
    saving.close()
    assert list((tmp_path / "root").iterdir()) == []
    assert recoverable(tmp_path / "root") == []
    saving.close()


def test_a_session_that_was_never_offered_leaves_nothing(tmp_path):
    Autosave(tmp_path / "root").close()
    assert not (tmp_path / "root").exists()


def test_a_close_that_is_not_clean_saves_the_last_offer_and_is_offered_back(rich_record, tmp_path):
    saving = Autosave(tmp_path, seconds_between=600.0)
    saving.offer(record_of(1))
    assert saving.flush()
    saving.offer(rich_record)
    assert recoverable(tmp_path) == []  # its process lives
    saving.close(clean=False)
    [found] = recoverable(tmp_path)
    assert found.record is not None
    assert_same_record(found.record, rich_record)
    assert found.title.startswith("zellen µ.tif: 9 objects, last saved 20")
    assert found.discard()
    assert recoverable(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_newest_offer_wins_and_the_thread_waits_its_time(tmp_path):
    saving = Autosave(tmp_path, seconds_between=0.3)
    try:
        started = time.monotonic()
        for count in range(1, 200):
            saving.offer(record_of(count % 5 + 1))
        saving.offer(record_of(7))
        assert saving.flush()
        took = time.monotonic() - started
        assert open_session(saving.folder).object_count == 7
        # one at once, then one per interval
        assert saving.saved_count <= 2 + took / 0.3
    finally:
        saving.close()


def test_offering_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    writing, go_on = threading.Event(), threading.Event()

    def slow(*_):
        writing.set()
        assert go_on.wait(30)

    monkeypatch.setattr(module.FolderWriter, "write", slow)
    saving = Autosave(tmp_path, seconds_between=0.0)
    try:
        saving.offer(record_of(1))
        assert writing.wait(30)
        saving.offer(record_of(2))  # would hang here
        assert not saving.flush(timeout=0.01)
    finally:
        go_on.set()
        saving.close()


def test_a_full_disk_is_a_sentence_and_the_next_record_is_tried_again(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    saving = Autosave(tmp_path, seconds_between=0.0)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(module.FolderWriter, "write", full)
            saving.offer(record_of(1))
            assert not saving.flush()
            assert saving.problem.startswith("Autosave failed, save the session yourself: ")
            assert "No space left" in saving.problem
        saving.offer(record_of(2))
        assert saving.flush()
        assert saving.problem == ""
        assert open_session(saving.folder).object_count == 2
    finally:
        saving.close()


def test_a_damaged_session_is_told_and_can_be_discarded(tmp_path):
    saving = Autosave(tmp_path)
    saving.offer(record_of(1))
    saving.close(clean=False)
    (saving.folder / "session.json").write_text("{")
    [found] = recoverable(tmp_path)
    assert found.record is None
    assert "damaged" in found.problem
    assert "damaged" in found.title
    assert found.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_was_killed_before_its_first_save_is_cleared_away(tmp_path):
    (tmp_path / "20260101-000000-1-abcd").mkdir()
    (tmp_path / "20260101-000000-1-abcd" / ".napari-samv1-00.part").write_bytes(b"half")
    old, young = tmp_path / "20250101-000000-1-00.lock", tmp_path / "20260101-000000-2-00.lock"
    for lock in (old, young):
        lock.touch()
    os.utime(old, (0, 0))
    assert recoverable(tmp_path) == []
    # a process may just be taking the young one
    assert list(tmp_path.iterdir()) == [young]


def test_two_sessions_of_one_process_do_not_see_each_other_as_lost(tmp_path):
    first, second = Autosave(tmp_path), Autosave(tmp_path)
    for saving in (first, second):
        saving.offer(record_of(1))
        assert saving.flush()
    assert recoverable(tmp_path) == []
    first.close(clean=False)
    assert [found.folder for found in recoverable(tmp_path)] == [first.folder]
    second.close()


def test_the_root_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAMV1_STATE", str(tmp_path))
    assert autosave_root() == tmp_path / "sessions"
    monkeypatch.delenv("NAPARI_SAMV1_STATE")
    assert autosave_root().is_absolute()


class Nursery:
    """Starts victims and reads what they say. Where there is no fork, each costs a process of its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, root: Path) -> int:
        if self._process is None:
            script = Path(__file__).with_name("victim.py")
            self._process = subprocess.Popen(
                [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
            assert self.line() == ["ready"]
        assert self._process.stdin is not None
        self._process.stdin.write(f"{root}\n".encode())
        said = self.line()
        early = []
        while said[0] != "started":
            early.append(said)
            said = self.line()
        self.early = early
        return int(said[1])

    def line(self) -> list[str]:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().split()

    def until_end(self) -> list[list[str]]:
        """What the victim said to its end."""
        said = self.early
        while line := self.line():
            if line[0] == "ended":
                return said
            said.append(line)
        assert self._process is not None
        self._process.wait()
        self.close()
        return said

    def close(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


@pytest.fixture(scope="module")
def nursery():
    opened = Nursery()
    yield opened
    opened.close()


def kill(process_id: int) -> None:
    # TerminateProcess on Windows, which nothing can catch either
    os.kill(process_id, 9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_any_moment_a_session_comes_back_whole(seed, nursery, tmp_path):
    process_id = nursery.start(tmp_path)
    # a few live long enough for "nothing older than a second" to mean something
    time.sleep(random.Random(seed).uniform(*((1.3, 1.8) if seed < LONG_KILLS else (0.0, 0.3))))
    kill(process_id)
    killed_at = time.monotonic_ns()
    said = nursery.until_end()
    offered = {int(line[1]): int(line[2]) for line in said if line[0] == "offered" and len(line) == 3}
    saved = max((int(line[1]) for line in said if line[0] == "saved" and len(line) == 2), default=0)

    found = recoverable(tmp_path)
    count = 0
    if found:
        [session] = found
        assert session.problem == ""
        assert session.record is not None
        [plane] = session.record.planes
        count = len(plane.pieces)
        assert plane.order == tuple(range(1, count + 1))
        assert differences(plane.pieces, tuple(expected(number) for number in range(1, count + 1))) == []
        np.testing.assert_array_equal(plane.beneath, beneath_number(count - (count - 1) % 10))
    # what is known to be saved is never lost, nor is anything older than a second
    assert saved <= count <= max(offered, default=0) + 1
    assert all(number <= count for number, moment in offered.items() if killed_at - moment > 1_000_000_000)
    for session in found:
        assert session.discard()
    assert recoverable(tmp_path) == []


_EXPECTED: dict[int, object] = {}


def expected(number: int) -> object:
    if number not in _EXPECTED:
        _EXPECTED[number] = object_number(number)
    return _EXPECTED[number]


def test_nothing_older_than_a_second_or_so_is_lost_at_the_usual_pace(tmp_path):
    saving = Autosave(tmp_path)
    try:
        record = record_of(1)
        saving.offer(record)
        assert saving.flush()
        saving.offer(replace(record_of(2)))
        waited = time.monotonic()
        assert saving.flush(timeout=60)
        assert time.monotonic() - waited < 30  # and not never
        assert open_session(saving.folder).object_count == 2
    finally:
        saving.close()
