"""A folder of embeddings: what is kept comes back whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from napari_samv1.disk import embeddings as module
from napari_samv1.disk.embeddings import EmbeddingFolder, KeptEmbedding
from napari_samv1.records.display import Display
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.preparation import BUNDLED
from napari_samv1.records.requests import EncodingRequest, ModelIdentity, SourceIdentity

RNG = np.random.default_rng(0)


def request(left: int = 0, **changes) -> EncodingRequest:
    given = {
        "source": SourceIdentity((100, 200), "uint8", False, "xxh3-128:0"),
        "region": Region(Plane(), (0, left, 64, 64)),
        "display": Display.single(0, 255),
        "limits": (3.0, 200.5),
        "model": ModelIdentity("abc", BUNDLED, "float32"),
        **changes,
    }
    return EncodingRequest(**given)


def kept(dtype=np.float32, seed: int = 0) -> KeptEmbedding:
    tokens = np.random.default_rng(seed).normal(size=(1, 8, 4, 6)).astype(dtype)
    return KeptEmbedding(tokens, {"frame": {"patch": 8}, "device": "cpu"})


@pytest.fixture
def folder(tmp_path) -> EmbeddingFolder:
    return EmbeddingFolder(tmp_path / "cache")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_is_kept_comes_back_bit_for_bit(folder, dtype):
    assert folder.get(request()) is None
    folder.put(request(), kept(dtype))
    back = EmbeddingFolder(folder.folder).get(request())
    assert back.tokens_bchw.dtype == dtype
    np.testing.assert_array_equal(back.tokens_bchw, kept(dtype).tokens_bchw)
    assert back.made == kept().made


def test_a_file_is_laid_out_as_documented(folder):
    folder.put(request(), kept())
    content = folder.path(request()).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    assert header["tokens_bchw"] == {"dtype": "F32", "shape": [1, 8, 4, 6], "data_offsets": [0, 768]}
    assert header["__metadata__"]["format"] == "napari-samv1 embedding 1"
    asked = json.loads(header["__metadata__"]["request"])
    assert asked["region"] == {"plane": {"index": [None, None]}, "window_yxhw": [0, 0, 64, 64]}
    np.testing.assert_array_equal(
        np.frombuffer(content[8 + length :], "<f4").reshape(1, 8, 4, 6), kept().tokens_bchw
    )
    assert folder.path(request()).parent.name == folder.path(request()).name[:2]


def test_everything_in_a_request_tells_entries_apart(folder):
    others = [
        request(left=64),
        request(display=Display.single(0, 254)),
        request(limits=None),
        request(rounding="float16"),
        request(model=ModelIdentity("abd", BUNDLED, "float32")),
        request(model=ModelIdentity("abc", BUNDLED, "bfloat16")),
        request(source=SourceIdentity((100, 200), "uint8", False, "xxh3-128:1")),
        request(source=SourceIdentity((100, 200), "uint8", False, "xxh3-128:0", name="a.tif")),
    ]
    assert len({folder.path(own) for own in [request(), *others]}) == 1 + len(others)


def test_the_name_of_an_entry_stays_the_same_from_version_to_version():
    # the sha256 of the request's JSON with sorted keys: whoever changes it makes all caches worthless
    assert request().digest == "2bd1c971c4cf7487e0aae7ab7342b085"


def damaged():
    yield "truncated", lambda content: content[:-1]
    yield "empty", lambda content: b""
    yield "short", lambda content: content[:5]
    yield "a flipped bit", lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    yield "longer", lambda content: content + b"\0"
    yield "another format", lambda content: content.replace(b"embedding 1", b"embedding 0")
    yield "changed notes", lambda content: content.replace(b'patch\\": 8', b'patch\\": 9')
    yield "a huge header", lambda content: (2**62).to_bytes(8, "little") + content[8:]
    yield "no json", lambda content: content[:8] + b"[" * (len(content) - 8)
    yield "foreign", lambda content: os.urandom(len(content))


@pytest.mark.parametrize(("name", "damage"), list(damaged()), ids=[name for name, _ in damaged()])
def test_a_damaged_foreign_or_older_entry_is_no_entry_and_is_rewritten(folder, name, damage):
    folder.put(request(), kept())
    path = folder.path(request())
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert damage(content) != content
    assert folder.get(request()) is None
    folder.put(request(), kept())
    assert folder.get(request()) is not None


def test_an_entry_of_another_request_is_no_entry(folder):
    folder.put(request(), kept())
    other = folder.path(request(left=64))
    other.parent.mkdir(exist_ok=True)
    folder.path(request()).rename(other)
    assert folder.get(request(left=64)) is None


def test_a_full_disk_is_one_warning_and_no_error(folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder.put(request(), kept())
    monkeypatch.setattr(module, "write_file", full)
    with pytest.warns(UserWarning, match=r"kept in memory only: No space left"):
        folder.put(request(left=1), kept())
    # warnings are errors here
    folder.put(request(left=2), kept())
    assert folder.get(request()) is not None
    assert folder.get(request(left=2)) is None


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(ValueError, match=r"must be a folder, and .*cache is a file"):
        EmbeddingFolder(tmp_path / "cache")


def test_the_folder_is_bounded_and_what_was_used_last_stays(tmp_path):
    size = len(module._written(request(), kept()))
    folder = EmbeddingFolder(tmp_path, most_bytes=int(6.5 * size))
    for left in range(6):
        folder.put(request(left=left), kept())
        os.utime(folder.path(request(left=left)), ns=(left * 10**9, left * 10**9))
    assert folder.get(request(left=0)) is not None  # used now
    folder.put(request(left=6), kept())
    assert folder.occupied().nbytes <= folder.most_bytes
    held = [left for left in range(7) if folder.path(request(left=left)).exists()]
    assert 0 in held
    assert 6 in held
    assert 1 not in held
    # another process has put more since
    other = EmbeddingFolder(tmp_path, most_bytes=int(2.5 * size))
    other.put(request(left=7), kept())
    assert other.occupied().nbytes <= other.most_bytes


def test_clearing_removes_embeddings_and_their_leftovers_and_nothing_else(folder):
    folder.put(request(), kept())
    (folder.folder / "notes.txt").write_text("mine")
    inner = folder.path(request()).parent
    (inner / ".napari-samv1-0.part").write_text("")
    (inner / "mine.safetensors").write_text("")
    assert folder.clear().count == 1
    assert folder.occupied().count == 0
    assert sorted(path.name for path in folder.folder.rglob("*") if path.is_file()) == [
        "mine.safetensors",
        "notes.txt",
    ]


def test_a_folder_that_is_not_there_holds_nothing(folder):
    assert folder.occupied().count == 0
    assert folder.clear().count == 0
    assert not folder.folder.exists()


def test_another_process_finds_what_was_kept(folder):
    folder.put(request(), kept())
    path = folder.path(request())
    code = (
        "import sys, json; from pathlib import Path; from napari_samv1.disk import embeddings as e\n"
        "content = Path(sys.argv[1]).read_bytes()\n"
        "header = json.loads(content[8 : 8 + int.from_bytes(content[:8], 'little')])\n"
        "asked = json.loads(header['__metadata__']['request'])\n"
        "request = type('Request', (), {'to_json': lambda self: asked, 'digest': Path(sys.argv[1]).stem})()\n"
        "print(e.EmbeddingFolder(sys.argv[2]).get(request).tokens_bchw.sum())"
    )
    words = [sys.executable, "-c", code, str(path), str(folder.folder)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert float(done.stdout) == pytest.approx(float(kept().tokens_bchw.sum()), rel=1e-5)


def test_readers_see_whole_entries_while_others_write_them(folder):
    """Threads for the race; a rename is as whole between processes."""
    stop = time.monotonic() + 0.5
    seen, errors = [], []

    def write(seed):
        own = EmbeddingFolder(folder.folder)
        while time.monotonic() < stop:
            own.put(request(), kept(seed=seed))

    def read():
        while time.monotonic() < stop:
            back = folder.get(request())
            if back is not None:
                seen.append(back.tokens_bchw)

    def guarded(work, *arguments):
        try:
            work(*arguments)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(write, seed)) for seed in (0, 1)]
    threads.append(threading.Thread(target=guarded, args=(read,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert seen
    possible = [kept(seed=seed).tokens_bchw for seed in (0, 1)]
    assert all(any(np.array_equal(own, right) for right in possible) for own in seen)


def test_how_many_megabytes_it_may_take_is_a_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAMV1_EMBEDDINGS_DISK_MB", "20")
    assert EmbeddingFolder(tmp_path).most_bytes == 20_000_000
    for wrong in ("much", "inf", "-5"):
        monkeypatch.setenv("NAPARI_SAMV1_EMBEDDINGS_DISK_MB", wrong)
        with pytest.raises(ValueError, match=f"number of megabytes, got '{wrong}'"):
            EmbeddingFolder(tmp_path)
