from __future__ import annotations

import pytest
import torch

from napari_samv1.checkpoints import device as device_module
from napari_samv1.checkpoints.device import choose_device, choose_dtype, cpu_has_bfloat16

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("has_cuda", "has_mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_prefers_cuda_then_mps(has_cuda, has_mps, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)
    assert choose_device() == torch.device(expected)


def test_devices_that_are_not_there_are_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ValueError, match="'cuda:1' is not available"):
        choose_device("cuda:1")
    with pytest.raises(ValueError, match="Apple silicon"):
        choose_device("mps")
    with pytest.raises(ValueError, match="got 'gpu'"):
        choose_device("gpu")
    with pytest.raises(ValueError, match="'auto', 'cpu', 'cuda' or 'mps'"):
        choose_device("meta")


@pytest.mark.parametrize(("is_native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_where_the_processor_has_it(is_native, expected, monkeypatch):
    monkeypatch.setattr(device_module, "cpu_has_bfloat16", lambda: is_native)
    assert choose_dtype("auto", CPU) is expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_auto_on_cuda_is_bfloat16_from_ampere_on(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.version, "hip", None)
    assert choose_dtype("auto", torch.device("cuda")) is expected


def test_auto_on_mps_is_float32():
    assert choose_dtype("auto", torch.device("mps")) is torch.float32


def test_a_chosen_dtype_is_taken_and_float16_is_refused():
    assert choose_dtype("bfloat16", CPU) is torch.bfloat16
    assert choose_dtype("float32", CPU) is torch.float32
    with pytest.raises(ValueError, match="float16 overflows"):
        choose_dtype("float16", CPU)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({"avx512_bf16": True}, True), ({"bf16": True}, True), ({"avx512_bf16": False, "avx2": True}, False)],
)
def test_the_processor_is_asked(flags, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert cpu_has_bfloat16() is expected


def test_on_a_mac_the_processor_is_not_asked(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True}, raising=False)
    monkeypatch.setattr("sys.platform", "darwin")
    assert not cpu_has_bfloat16()
