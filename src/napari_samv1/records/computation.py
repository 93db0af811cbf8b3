"""Computation: which model in which process gave an answer."""

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
    """Environment of an answer: on the same machine, an equal one gives the same bits."""

    package: str
    python: str
    numpy: str
    torch: str
    platform: str
    processor: str
    threads: int

    @classmethod
    def now(cls) -> Environment:
        """This process."""
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

    ``source`` is the name or the path that ``load_model`` was given; the weights are identified by the
    ``EmbeddingKey`` of the answer, which also has the encoder's precision. ``decoder`` is the decoder's.
    """

    model: str
    source: str
    environment: Environment
    decoder: DecoderPrecision = "float32"

    def decoding_in(self, precision: DecoderPrecision) -> Computation:
        """The same with a decoder of some precision."""
        return self if precision == self.decoder else replace(self, decoder=precision)
