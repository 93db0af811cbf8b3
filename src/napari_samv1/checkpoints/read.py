"""Weight file -> its tensors under the published names, without executing anything in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.file_kinds import checkpoint_format
from napari_samv1.checkpoints.pickled_names import foreign_names
from napari_samv1.checkpoints.relatives import relative_of

WRAPPERS = ("model_state", "state_dict", "model")
PREFIXES = ("sam.", "module.", "_orig_mod.")
# constants of the published preparation, which some tools store with the weights
IGNORED = frozenset({"pixel_mean", "pixel_std"})


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a Segment Anything checkpoint, wrapping and prefixes removed.

    They may be mapped from the file: copy what is to outlive it. Raises ``CheckpointError`` with a sentence
    that names what the file is instead and what to do.
    """
    table = _unwrap(_load(path), path)
    tensors: dict[str, Tensor] = {}
    for key, value in table.items():
        name = _without_prefixes(str(key))
        if name in IGNORED:
            continue
        if not isinstance(value, Tensor) or value.layout != torch.strided or not value.is_floating_point():
            raise CheckpointError(
                f"{path} holds {key!r} as {_kind(value)} where weights are tables of floating-point numbers; "
                f"use the unquantised checkpoint"
            )
        if name in tensors:
            raise CheckpointError(
                f"{path} holds {name!r} twice, with different prefixes; use one model per file"
            )
        tensors[name] = value
    relative = relative_of(tensors)
    if relative is not None:
        raise CheckpointError(f"{path} is {relative}")
    return tensors


def _load(path: Path) -> Any:
    form = checkpoint_format(path)
    try:
        # only the zip format can be mapped, which spares the memory of a second copy
        return torch.load(path, map_location="cpu", weights_only=True, mmap=form == "zip")
    except Exception as error:  # damaged or hostile bytes fail anywhere inside; each ends in a sentence
        foreign = foreign_names(path)
        if any(name.startswith(("torch_em.", "micro_sam.")) for name in foreign):
            raise CheckpointError(
                f"{path} is an unfinished training checkpoint of micro-sam, which holds data sets beside the "
                f"weights: export it with micro_sam.util.export_custom_sam_model and use the exported file"
            ) from error
        if foreign:
            named = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
            raise CheckpointError(
                f"{path} asks Python for objects other than weights ({named}), and was not executed; "
                f"if you trust its source, ask there for a plain state dict"
            ) from error
        raise CheckpointError(
            f"{path} is damaged or cut off: torch cannot read its tensors; download or copy it again"
        ) from error


def _unwrap(content: Any, path: Path) -> Mapping[Any, Any]:
    """The innermost table that holds tensors directly."""
    table = content
    for _ in range(len(WRAPPERS) + 1):
        if not isinstance(table, Mapping):
            raise CheckpointError(f"{path} holds {_kind(table)} instead of a table of named weights")
        if any(isinstance(value, Tensor) for value in table.values()):
            return table
        inner = next((table[key] for key in WRAPPERS if key in table), None)
        if inner is None:
            break
        table = inner
    keys = ", ".join(repr(key) for key in list(table)[:5]) or "nothing"
    raise CheckpointError(
        f"{path} holds no weights where they are looked for (at the top or under "
        f"{', '.join(WRAPPERS)}): it holds {keys}"
    )


def _without_prefixes(name: str) -> str:
    while True:
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            return name
        name = name.removeprefix(prefix)


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')}"
    return f"a {type(value).__name__}"
