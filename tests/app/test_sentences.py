"""Errors as a person is told them."""

from __future__ import annotations

import pytest
import torch

from napari_samv1.app.sentences import OUT_OF_MEMORY, lost_card, sentence_of


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), OUT_OF_MEMORY),
        (RuntimeError("MPS backend out of memory (MPS allocated: 18.13 GB)"), OUT_OF_MEMORY),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), OUT_OF_MEMORY),
        (MemoryError(), OUT_OF_MEMORY),
        (MemoryError("memory does not suffice on cuda: do this"), "memory does not suffice on cuda: do this"),
        (RuntimeError("sizes do not match"), "sizes do not match"),
        (KeyError(), "KeyError"),
    ],
)
def test_what_a_person_is_told(error, told):
    assert sentence_of(error) == told
    assert "device cpu" in OUT_OF_MEMORY


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later"),
        torch.AcceleratorError("CUDA error: device-side assert triggered", 710)
        if hasattr(torch, "AcceleratorError")
        else RuntimeError("CUDA error: device-side assert triggered"),
    ],
)
def test_a_card_that_failed_is_told_with_its_reason_in_one_line(error):
    first = str(error).splitlines()[0]
    assert lost_card(error) == (
        f"The graphics card failed ({first}): the model is loaded on the CPU, which is slower. "
        f"Start napari again to use the card."
    )


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("sizes do not match"),
        ValueError("CUDA error"),
    ],
)
def test_other_errors_lose_no_card(error):
    assert lost_card(error) == ""
