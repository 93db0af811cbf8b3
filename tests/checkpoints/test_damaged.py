"""Weight files that were damaged, or made to do harm: refused, or read as they were."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import struct
import threading
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.read import read_tensors
from napari_samv1.checkpoints.registry import MODELS


def same(read, tensors):
    return read.keys() == tensors.keys() and all(torch.equal(read[name], tensors[name]) for name in tensors)


def survives(path, tensors) -> bool:
    """If a file is read as it was; anything but that or a refusal fails the test."""
    try:
        read = read_tensors(path)
    except CheckpointError:
        return False
    assert same(read, tensors)
    return True


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundled") / "tiny.pt"
    path.write_bytes(MODELS["tiny"].path.read_bytes())
    return path, {name: tensor.clone() for name, tensor in read_tensors(path).items()}


def test_no_flipped_bit_of_the_bundled_file_gives_other_weights(bundled):
    path, tensors = bundled
    size = path.stat().st_size
    rng = np.random.default_rng(0)
    # the table of tensors at the start, the weights, the list of parts at the end
    places = [*rng.integers(0, 34_000, 6), *rng.integers(0, size, 12), *rng.integers(size - 25_000, size, 8)]
    refused = 0
    with path.open("r+b") as file:
        for place in map(int, places):
            file.seek(place)
            [byte] = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ 1 << int(rng.integers(8))]))
            file.flush()
            refused += not survives(path, tensors)
            file.seek(place)
            file.write(bytes([byte]))
            file.flush()
    assert refused > len(places) // 2
    assert survives(path, tensors)


@pytest.mark.parametrize("form", ["zip", "old", "safetensors"])
def test_no_damage_makes_a_reader_fail_in_another_way(form, tmp_path, small_tensors):
    if form == "safetensors":
        content = save(small_tensors)
    else:
        file = io.BytesIO()
        torch.save(small_tensors, file, _use_new_zipfile_serialization=form == "zip")
        content = file.getvalue()
    rng = np.random.default_rng(1)
    path = tmp_path / "model.pth"
    for _ in range(60):
        damaged = bytearray(content)
        place = int(rng.integers(len(content) if rng.random() < 0.5 else min(len(content), 30_000)))
        match rng.integers(3):
            case 0:
                damaged[place] ^= 1 << int(rng.integers(8))
            case 1:
                del damaged[place : place + int(rng.integers(1, 200))]
            case 2:
                damaged[place : place + 40] = rng.bytes(40)
        path.write_bytes(damaged)
        if form == "zip":
            survives(path, small_tensors)
        else:
            # these formats keep no sums: other numbers cannot be told, another shape or NaN can
            try:
                read = read_tensors(path)
            except CheckpointError:
                continue
            assert all(tensor.isfinite().all() for tensor in read.values())


@pytest.mark.parametrize("length", [10, 5_000, 40_000, 1_000_000, 13_308_000])
def test_a_shortened_bundled_file_is_refused(length, bundled, tmp_path):
    path = tmp_path / "tiny.pt"
    path.write_bytes(bundled[0].read_bytes()[:length])
    with pytest.raises(CheckpointError, match="cut off"):
        read_tensors(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_bundled_file_packed_again_is_read_right_or_refused(compression, bundled, tmp_path):
    path = tmp_path / "again.pt"
    with zipfile.ZipFile(bundled[0]) as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in sorted(old.namelist(), reverse=True):
            new.writestr(f"elsewhere/{name.partition('/')[2]}", old.read(name))
    assert survives(path, bundled[1]) == (compression == zipfile.ZIP_STORED)


def test_the_bundled_file_is_the_one_that_this_version_was_made_with():
    # to a new bundled file belongs a new digest in checkpoints/registry.py
    load_model("tiny", device="cpu")


def test_another_bundled_file_is_refused(monkeypatch, tmp_path):
    content = bytearray(MODELS["tiny"].path.read_bytes())
    content[5_000_000] ^= 1
    path = tmp_path / "tiny.pt"
    path.write_bytes(content)
    monkeypatch.setattr(type(MODELS["tiny"]), "path", path)
    with pytest.raises(CheckpointError, match="reinstall"):
        load_model("tiny", device="cpu")
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.pt"]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_numbers_that_are_none_are_refused(number, dtype, tmp_path, small_tensors):
    tensor = small_tensors["image_encoder.neck.0.weight"].to(dtype)
    tensor[3, 2] = number
    path = tmp_path / "model.pth"
    torch.save(small_tensors | {"image_encoder.neck.0.weight": tensor}, path)
    with pytest.raises(CheckpointError, match=r"neck\.0\.weight holds numbers that are not finite"):
        read_tensors(path)


# Files made by hand: torch.save's layout, with what an honest file never says.


def table(*rows: bytes) -> bytes:
    """A pickle of a table with these rows (a key and a value each)."""
    return b"\x80\x02}(" + b"".join(rows) + b"u."


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def tensor(count: int, shape: tuple[int, ...], stride: tuple[int, ...], key: str = "0") -> bytes:
    def numbers(values):
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"

    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + numbers([count])[1:-1]
    )
    parts = storage + b"tQK\x00" + numbers(shape) + numbers(stride) + b"\x89N"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + parts + b"tR"


def torch_zip(path, pickled: bytes, *, numbers: int = 4) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickled)
        archive.writestr("m/data/0", np.ones(numbers, np.float32).tobytes())


HOSTILE = {
    "a call that allocates": table(text("a"), b"c__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\x00\x04\x85R"),
    "bytes that are not there": table(text("a"), b"\x96" + struct.pack("<Q", 1 << 40)),
    "text that is not there": table(text("a"), b"\x8d" + struct.pack("<Q", 1 << 40)),
    "a place in memory far out": table(text("a"), b"Nr" + struct.pack("<I", (1 << 32) - 1)),
    "a key that takes forever to hash": table(b"K\x01" + b"2\x86" * 200, b"N"),
    "one number shown many times": table(text("a"), tensor(4, (1 << 20, 1 << 20), (0, 0))),
    "a storage larger than its part": table(text("a"), tensor(1 << 40, (1 << 40,), (1,))),
    "a view beyond its storage": table(text("a"), tensor(4, (2, 2), (3, 1))),
    "a negative side": table(text("a"), tensor(4, (-2, -2), (1, 1))),
    "a storage that is missing": table(text("a"), tensor(4, (4,), (1,), key="1")),
    "a storage elsewhere": table(text("a"), tensor(4, (4,), (1,), key="../data.pkl")),
    "many axes": table(text("a"), tensor(4, (1,) * 5000, (1,) * 5000)),
    "one storage under many names": table(
        *(text(f"a{number}") + tensor(4, (4,), (1,)) for number in range(4000))
    ),
}


@pytest.mark.parametrize("pickled", HOSTILE.values(), ids=HOSTILE)
def test_small_files_that_would_take_much_are_refused_at_once(pickled, tmp_path):
    path = tmp_path / "model.pth"
    torch_zip(path, pickled)
    tracemalloc.start()
    with pytest.raises(CheckpointError):
        load_model(path, device="cpu")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 32 << 20


def test_a_table_larger_than_any_networks_is_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch_zip(path, table(text("a"), b"}" * (5 << 20)))
    with pytest.raises(CheckpointError, match="more than any network's"):
        read_tensors(path)


def test_parts_that_lie_over_each_other_are_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch_zip(path, table(text("a"), tensor(4, (4,), (1,))))
    content = bytearray(path.read_bytes())
    # the second entry of the list of parts points to the first part
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="overlap"):
        read_tensors(path)


def test_a_wrong_sum_is_told(tmp_path):
    path = tmp_path / "model.pth"
    torch_zip(path, table(text("a"), tensor(4, (4,), (1,))))
    content = bytearray(path.read_bytes())
    content[content.index(np.ones(4, np.float32).tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="a: the bytes of its part m/data/0 are not those"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}, "end at byte"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]}}, "does not fill its place"),
        ({"a": {"dtype": "F32", "shape": [4], "data_offsets": [4, 20]}}, "does not fill its place"),
        ({"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}, "whole numbers"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, "end at byte"),
        ([], "is none"),
    ],
)
def test_safetensors_whose_table_and_bytes_differ_are_refused(header, told, tmp_path):
    path = tmp_path / "model.safetensors"
    written = json.dumps(header).encode().replace(b"[]", b'{"": 1}') if header else b"[ ]     "
    content = len(written).to_bytes(8, "little") + written + bytes(16)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=told if header else "of an unknown kind|damaged"):
        read_tensors(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names on this system")
@pytest.mark.parametrize("kind", ["a pipe", "/dev/zero"])
def test_what_is_no_regular_file_is_refused_without_waiting(kind, tmp_path):
    path = tmp_path / "pipe" if kind == "a pipe" else kind
    if kind == "a pipe":
        os.mkfifo(path)
    told: list[str] = []

    def read():
        try:
            load_model(path, device="cpu")
        except CheckpointError as error:
            told.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(30)
    assert "is a pipe or a device" in told[0]


def test_a_network_of_absurd_depth_is_refused_before_it_is_built(tmp_path, small_tensors):
    path = tmp_path / "model.pth"
    blocks = {f"image_encoder.blocks.{n}.attn.rel_pos_h": torch.zeros(11, 16) for n in range(3000)}
    torch.save(small_tensors | blocks, path)
    with pytest.raises(CheckpointError, match="an encoder of 3000 blocks"):
        load_model(path, device="cpu")


def test_a_pickle_is_never_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "touched"),))

    path = tmp_path / "model.pth"
    for protocol in range(2, 6):
        torch_zip(path, pickle.dumps({"a": Evil()}, protocol))
        with pytest.raises(CheckpointError, match="not executed"):
            read_tensors(path)
    assert not (tmp_path / "touched").exists()
