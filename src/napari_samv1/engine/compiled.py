"""The encoder's blocks compiled by torch: faster, after up to minutes of compiling."""

from __future__ import annotations

import os
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from napari_samv1.checkpoints.folders import cache_folder
from napari_samv1.model.image_encoder.stage import RunBlock, run_block

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def compiled_block() -> RunBlock:
    """Function that runs a block, compiled once for each kind of block and size of image.

    Blocks of one kind share their code, so that two are compiled instead of dozens. The code is cached on
    disk, beside weights and embeddings unless ``TORCHINDUCTOR_CACHE_DIR`` names another folder. Where torch
    cannot compile, the function warns and runs blocks uncompiled.
    """
    os.environ.setdefault(VARIABLE, str(cache_folder() / "compiled"))
    compiled = torch.compile(run_block, dynamic=False)
    failed = False

    def run(block: nn.Module, *arguments: Any) -> Tensor:
        nonlocal failed
        if failed:
            return run_block(block, *arguments)
        from torch._dynamo.exc import TorchDynamoException

        try:
            tokens_bhwc: Tensor = compiled(block, *arguments)
        except TorchDynamoException as error:
            failed = True
            reason = str(error).strip().splitlines()[0]
            warnings.warn(
                f"torch cannot compile the encoder here; it runs uncompiled: {reason}", stacklevel=2
            )
            return run_block(block, *arguments)
        return tokens_bhwc

    return run
