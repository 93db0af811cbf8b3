"""Computation: the model and the process that gave an answer."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import Literal

import numpy as np

DecoderPrecision = Literal["float32", "float16"]


@dataclass(frozen=True)
class Environment:
    """Environment of an answer; equal environments on one machine give the same bits."""

    package: str
    python: str
    numpy: str
    torch: str
    platform: str
    processor: str
    threads: int

    @classmethod
    def now(cls) -> Environment:
        """Environment of this process."""
        import torch

        return cls(*_versions(), torch.get_num_threads())


@cache
def _versions() -> tuple[str, str, str, str, str, str]:
    import torch

    return (
        version("napari-samv1"),
        platform.python_version(),
        np.__version__,
        torch.__version__,
        platform.platform(),
        torch.backends.cpu.get_cpu_capability(),
    )


@dataclass(frozen=True)
class Computation:
    """A model, and the process in which it answered.

    ``source`` is the model's name or path for ``load_model``; the answer's ``EmbeddingKey`` identifies the
    weights and the encoder's precision, ``decoder`` is the decoder's precision.
    """

    model: str
    source: str
    environment: Environment
    decoder: DecoderPrecision = "float32"

    def decoding_in(self, precision: DecoderPrecision) -> Computation:
        """The same with a decoder of some precision."""
        return self if precision == self.decoder else replace(self, decoder=precision)
