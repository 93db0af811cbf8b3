"""Hooks on modules while a network runs, removed in any case."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Key = TypeVar("Key", bound=Hashable)


@contextmanager
def listening(modules: Mapping[Key, nn.Module], hear: Callable[[Key, Tensor], None]) -> Iterator[None]:
    """Call ``hear(key, output)`` whenever this thread runs one of the modules.

    The output must not be changed. Runs of the same network in other threads are ignored. An exception from
    ``hear`` ends the run.
    """
    this_thread = threading.get_ident()

    def hook_for(key: Key) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            if threading.get_ident() == this_thread:
                hear(key, output)

        return hook

    handles: list[RemovableHandle] = []
    try:
        for key, module in modules.items():
            handles.append(module.register_forward_hook(hook_for(key)))
        yield
    finally:
        for handle in handles:
            handle.remove()
