"""Errors as a person is told them."""

from __future__ import annotations

import pytest
import torch

from napari_samv1.app.sentences import OUT_OF_MEMORY, sentence_of


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
