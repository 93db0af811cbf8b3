"""Files as people's training tools write them."""

from __future__ import annotations

import argparse
import collections
import pathlib

import pytest
import torch
from safetensors.torch import save_file

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.read import read_tensors


def prefixed(tensors, prefix):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def inside(tensors, part, wrapper):
    """One part of the network in a wrapper of its own, as ``torch.compile(sam.image_encoder)`` leaves it."""
    return {name.replace(f"{part}.", f"{part}.{wrapper}.", 1): tensor for name, tensor in tensors.items()}


def other(tensors):
    return {name: tensor + 1 for name, tensor in tensors.items()}


WRITTEN = {
    "Lightning": lambda tensors: {
        "epoch": 3,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": collections.OrderedDict(
            prefixed(tensors, "model.")
            | {"loss.weight": torch.ones(2), "metric.count": torch.zeros(1).long()}
        ),
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}],
        "hyper_parameters": {"folder": pathlib.PurePosixPath("/data"), "kind": "vit_b"},
    },
    "Lightning around a wrapper": lambda tensors: {"state_dict": prefixed(tensors, "model.sam.")},
    "a score beside the table": lambda tensors: {"best": torch.tensor(0.9), "state_dict": tensors},
    "PyTorch's tutorial": lambda tensors: {"model_state_dict": tensors, "loss": torch.tensor(0.1)},
    "the options of a script": lambda tensors: {
        "model": tensors,
        "args": argparse.Namespace(lr=1, device="cuda"),
    },
    "a name beside the table": lambda tensors: {"model": "vit_b", "state_dict": tensors},
    "DeepSpeed": lambda tensors: {"module": prefixed(tensors, "module."), "dtype": torch.float16},
    "an encoder that was compiled": lambda tensors: inside(tensors, "image_encoder", "_orig_mod"),
    "a decoder run in parallel": lambda tensors: inside(tensors, "mask_decoder", "module"),
    "weights and their average": lambda tensors: {"model": tensors, "model_ema": other(tensors)},
    "an average alone": lambda tensors: {"ema_state_dict": prefixed(tensors, "module."), "step": 1},
    "an average in the same table": lambda tensors: (
        prefixed(tensors, "model.") | prefixed(other(tensors), "ema_model.module.")
    ),
    "a student and its teacher": lambda tensors: (
        prefixed(other(tensors), "teacher.") | prefixed(tensors, "student.")
    ),
    "a tensor with attributes": lambda tensors: {
        name: torch.nn.Parameter(tensor, requires_grad=False) for name, tensor in tensors.items()
    },
}


def same(read, tensors):
    return read.keys() == tensors.keys() and all(torch.equal(read[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("is_new_format", [True, False])
@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_what_trainers_write_holds_the_network(write, is_new_format, tmp_path, small_tensors):
    path = tmp_path / "model.ckpt"
    torch.save(write(small_tensors), path, _use_new_zipfile_serialization=is_new_format)
    assert same(read_tensors(path), small_tensors)


def test_two_networks_in_a_file_are_refused(tmp_path, small_tensors):
    path = tmp_path / "model.ckpt"
    torch.save(prefixed(small_tensors, "first.") | prefixed(small_tensors, "second."), path)
    with pytest.raises(CheckpointError, match=r"'image_encoder.pos_embed' twice, with different prefixes"):
        read_tensors(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_is_read(protocol, tmp_path, small_tensors):
    path = tmp_path / "model.pth"
    torch.save({"model": small_tensors, "kinds": {1, 2}}, path, pickle_protocol=protocol)
    assert same(read_tensors(path), small_tensors)


def test_views_of_one_flat_storage_are_read(tmp_path, small_tensors):
    flat = torch.cat([tensor.flatten() for tensor in small_tensors.values()])
    views, start = {}, 0
    for name, tensor in small_tensors.items():
        views[name] = flat[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
    name = "image_encoder.blocks.0.mlp.lin1.weight"
    views[name] = small_tensors[name].t().contiguous().t()
    path = tmp_path / "model.pth"
    torch.save(views, path)
    assert same(read_tensors(path), small_tensors)


@pytest.mark.parametrize("prefix", ["", "model."])
def test_safetensors_are_read(prefix, tmp_path, small_tensors):
    path = tmp_path / "model.safetensors"
    tensors = small_tensors | {"image_encoder.neck.1.bias": torch.randn(16, dtype=torch.bfloat16)}
    save_file(prefixed(tensors, prefix), path, {"format": "pt"})
    assert same(read_tensors(path), tensors)


def test_whole_numbers_in_safetensors_are_named(tmp_path, small_tensors):
    path = tmp_path / "model.safetensors"
    save_file(small_tensors | {"image_encoder.neck.1.bias": torch.zeros(16, dtype=torch.int8)}, path)
    with pytest.raises(CheckpointError, match=r"'image_encoder.neck.1.bias' as a tensor of int8"):
        read_tensors(path)
