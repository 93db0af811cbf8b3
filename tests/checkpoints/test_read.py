from __future__ import annotations

import collections
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.pickled import Mentioned, read_pickle
from napari_samv1.checkpoints.read import read_tensors


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pth"


def prefixed(tensors, prefix):
    return {prefix + name: tensor for name, tensor in tensors.items()}


WRAPPINGS = {
    "plain": lambda tensors: tensors,
    "ordered": collections.OrderedDict,
    "parameters": lambda tensors: {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()},
    "state_dict": lambda tensors: {"epoch": 3, "state_dict": tensors},
    "model": lambda tensors: {"model": tensors, "optimizer": {"state": {}, "param_groups": []}},
    "micro-sam": lambda tensors: {
        "model_state": prefixed(tensors, "sam."),
        "decoder_state": {"conv.weight": torch.zeros(1)},
    },
    "distributed": lambda tensors: {"state_dict": prefixed(tensors, "module.")},
    "both prefixes": lambda tensors: prefixed(tensors, "module.sam."),
    "both, the other way": lambda tensors: prefixed(tensors, "sam.module."),
    "twice wrapped": lambda tensors: {"model": {"state_dict": tensors}},
    "with the preparation": lambda tensors: tensors | {"pixel_mean": torch.zeros(3, 1, 1)},
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_wrapped_forms_hold_the_same_tensors(wrap, path, small_tensors):
    torch.save(wrap(small_tensors), path)
    read = read_tensors(path)
    assert read.keys() == small_tensors.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in small_tensors.items())


def test_the_old_file_format_is_read(path, small_tensors):
    torch.save(small_tensors, path, _use_new_zipfile_serialization=False)
    read = read_tensors(path)
    assert all(torch.equal(read[name], tensor) for name, tensor in small_tensors.items())


def refusal(path) -> str:
    """The error's sentence: one line that names the file, and no more than one sentence."""
    with pytest.raises(CheckpointError) as caught:
        read_tensors(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert ". " not in sentence.replace(str(path), "")
    return sentence


KEYS_OF_OTHERS = {
    "TinyViT": ["image_encoder.patch_embed.seq.0.c.weight", "image_encoder.layers.0.blocks.0.conv1.c.weight"],
    "SAM 2": ["image_encoder.trunk.pos_embed", "memory_attention.layers.0.norm1.weight"],
    "SAM 3": [
        "detector.backbone.vision_backbone.trunk.pos_embed",
        "tracker.sam_mask_decoder.iou_token.weight",
    ],
    "HQ-SAM": ["image_encoder.pos_embed", "mask_decoder.hf_token.weight"],
    "adapters": ["image_encoder.pos_embed", "image_encoder.blocks.0.attn.qkv.w_a_linear_q.weight"],
    "transformers": ["vision_encoder.layers.0.attn.qkv.weight", "mask_decoder.iou_token.weight"],
}


@pytest.mark.parametrize(("kind", "keys"), KEYS_OF_OTHERS.items(), ids=KEYS_OF_OTHERS)
def test_other_networks_are_refused_by_name(kind, keys, path):
    torch.save({"model": {key: torch.zeros(2, 2) for key in keys}}, path)
    assert kind in refusal(path)


@pytest.mark.parametrize("key", ["blocks.0.attn.qkv.qkv_proj.weight", "blocks.2.mlp.mlp_layer.lin1.weight"])
def test_adapters_of_micro_sam_are_refused_by_name(key, path, small_tensors):
    torch.save(small_tensors | {f"image_encoder.{key}": torch.zeros(2, 2)}, path)
    assert "adapters" in refusal(path)


def test_a_missing_file(path):
    assert "there is no file" in refusal(path)


def test_a_folder(tmp_path):
    assert "is a folder" in refusal(tmp_path)


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    return file.getvalue()


def numpy_file() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def zip_of(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 40)
    return file.getvalue()


CONTENTS = {
    "is empty": b"",
    "a text file": b"hello,\nthis is no checkpoint\n",
    "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    "a PNG image": png(),
    "a numpy array": numpy_file(),
    "a zip archive without weights": zip_of("readme.txt"),
    "TorchScript": zip_of("m/data.pkl", "m/constants.pkl"),
    "not described whole": (16).to_bytes(8, "little") + b'{"a":{}}        ',
    "of an unknown kind": bytes(range(1, 32)) * 4,
    "a Python pickle that torch did not write": pickle.dumps([1, 2]),
}


@pytest.mark.parametrize(("kind", "content"), CONTENTS.items(), ids=CONTENTS)
def test_what_is_no_checkpoint_is_named(kind, content, path):
    path.write_bytes(content)
    assert kind in refusal(path)


@pytest.mark.parametrize("is_new_format", [True, False])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_file_cut_off_anywhere_is_told(is_new_format, share, path, small_tensors):
    torch.save(small_tensors, path, _use_new_zipfile_serialization=is_new_format)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "cut off" in refusal(path)


@pytest.mark.parametrize("start", range(200, 2200, 97))
def test_a_damaged_table_of_contents_is_told(start, path, small_tensors):
    torch.save(small_tensors, path)
    content = bytearray(path.read_bytes())
    content[start : start + 60] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_tensors(path)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (os.mkdir, (str(self.trace),))


@pytest.mark.parametrize("form", ["zip", "old", "pickle 2", "pickle 4", "pickle 5"])
def test_a_malicious_pickle_is_named_and_not_executed(form, path, tmp_path, small_tensors):
    trace = tmp_path / "touched"
    content = {"model": small_tensors, "more": Evil(trace)}
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(content["more"], protocol=int(form[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    pickle.loads(pickle.dumps(Evil(tmp_path / "control")))
    assert (tmp_path / "control").exists()
    sentence = refusal(path)
    assert not trace.exists()
    assert ("pickle" if form.startswith("pickle") else ".mkdir") in sentence
    assert ("not opened" if form.startswith("pickle") else "not executed") in sentence


def test_a_whole_pickled_network_is_refused(path):
    torch.save(torch.nn.Linear(2, 2), path)
    assert "torch.nn.modules.linear.Linear" in refusal(path)


def test_an_unfinished_training_checkpoint_says_how_to_export_it(path, small_tensors, monkeypatch):
    loader = type("PromptableLoader", (), {"__module__": "torch_em.data.loader"})
    module = type(torch)("torch_em.data.loader")
    module.PromptableLoader = loader
    for name in ("torch_em", "torch_em.data"):
        monkeypatch.setitem(__import__("sys").modules, name, type(torch)(name))
    monkeypatch.setitem(__import__("sys").modules, "torch_em.data.loader", module)
    torch.save({"model_state": small_tensors, "init": {"train_loader": loader()}}, path)
    assert "export_custom_sam_model" in refusal(path)


def test_plain_weights_refer_to_nothing_foreign(path, small_tensors):
    for is_new_format in (True, False):
        torch.save(collections.OrderedDict(small_tensors), path, _use_new_zipfile_serialization=is_new_format)
        assert read_tensors(path).keys() == small_tensors.keys()


@pytest.mark.parametrize(("content", "kind"), [([1, 2], "a list"), (torch.zeros(3), "a tensor of float32")])
def test_other_things_that_torch_saved_are_named(content, kind, path):
    torch.save(content, path)
    assert f"holds {kind} instead of a table" in refusal(path)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_globals_are_found_in_every_pickle_protocol(protocol, tmp_path):
    mentioned = Mentioned()
    read_pickle(
        io.BytesIO(pickle.dumps([Evil(tmp_path / "a"), Evil(tmp_path / "b")], protocol=protocol)), mentioned
    )
    assert mentioned.foreign == [f"{os.mkdir.__module__}.mkdir"]


def test_a_wrapper_without_weights_shows_its_keys(path):
    torch.save({"epoch": 3, "optimizer": {}}, path)
    assert "'epoch', 'optimizer'" in refusal(path)


def test_quantised_weights_are_refused_by_name(path, small_tensors):
    name = "image_encoder.blocks.0.mlp.lin1.weight"
    torch.save(small_tensors | {name: torch.zeros(128, 32, dtype=torch.int8)}, path)
    sentence = refusal(path)
    assert name in sentence
    assert "int8" in sentence


def test_one_tensor_under_two_prefixes_is_refused(path, small_tensors):
    torch.save(small_tensors | {"sam.image_encoder.pos_embed": torch.zeros(1, 6, 6, 32)}, path)
    assert "'image_encoder.pos_embed' twice" in refusal(path)
