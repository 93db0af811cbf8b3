from __future__ import annotations

import hashlib
import json
import os
import time

import pytest

from napari_samv1.checkpoints.digests import Digests
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.verify import note_path, verified_sha256

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def model(register):
    model = register(CONTENT, algorithm="xxh128")
    model.path.parent.mkdir(parents=True)
    model.path.write_bytes(CONTENT)
    return model


@pytest.fixture
def reads(monkeypatch):
    """How often a file was read to be hashed."""
    reads = []
    of_file = Digests.of_file
    monkeypatch.setattr(
        Digests, "of_file", lambda path, **options: (reads.append(path), of_file(path, **options))[1]
    )
    return reads


def age(path, seconds=60):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_file_at_rest_is_read_once(model, reads):
    age(model.path)
    assert [verified_sha256(model) for _ in range(3)] == [SHA256] * 3
    assert len(reads) == 1


def test_afresh_reads_it_in_any_case(model, reads):
    age(model.path)
    verified_sha256(model)
    assert verified_sha256(model, afresh=True) == SHA256
    assert len(reads) == 2


def test_a_file_written_just_now_is_not_trusted_yet(model, reads):
    verified_sha256(model)
    verified_sha256(model)
    assert len(reads) == 2


def test_a_change_is_noticed(model):
    age(model.path)
    verified_sha256(model)
    model.path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(CheckpointError, match="is not the published sample"):
        verified_sha256(model)


def test_a_note_of_another_published_file_is_not_believed(model, register):
    age(model.path)
    verified_sha256(model)
    newer = register(b"a newer version of the model")
    with pytest.raises(CheckpointError, match="is not the published sample"):
        verified_sha256(newer)


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"size": null}'])
def test_a_damaged_note_only_costs_time(note, model):
    note_path(model.path).write_text(note)
    assert verified_sha256(model) == SHA256


def test_both_hashes_are_noted(model):
    verified_sha256(model)
    note = json.loads(note_path(model.path).read_text())
    assert note["sha256"] == SHA256
    assert f"xxh128:{note['xxh128']}" == model.digest
