"""Weight file -> its tensors under the published names, without executing any of its code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.file_kinds import checkpoint_format
from napari_samv1.checkpoints.pickled import Mentioned
from napari_samv1.checkpoints.relatives import relative_of
from napari_samv1.checkpoints.safetensors import open_safetensors
from napari_samv1.checkpoints.stored import DamageError, OpenedFile, StoredTensor
from napari_samv1.checkpoints.torch_files import open_pickles, open_zip
from napari_samv1.checkpoints.wrappings import WRAPPERS, published_names, unwrap

# constants of the published preparation, which some tools store with the weights
IGNORED = frozenset({"pixel_mean", "pixel_std"})

SHOWN_CHARACTERS = 80
MOST_TENSORS = 4096
"""Largest number of tensors in a file; the largest published network has 594."""


def read_tensors(path: Path, *, is_known: bool = False) -> dict[str, Tensor]:
    """Read the tensors of a Segment Anything checkpoint, without wrapping and prefixes.

    Names, sizes and places are compared with each other and with the file before any weight is read. Then the
    checksums of torch's zip format are verified, and every number must be finite, unless the content
    ``is_known`` by its hash. The tensors are mapped from the file: copy those that must outlive it. Raises
    ``CheckpointError`` with a sentence that names the problem and the remedy.
    """
    mentioned = Mentioned()
    try:
        opened = _open(path, mentioned, is_known)
        _require_plain(path, mentioned)
        stored = _weights(opened, path)
        return opened.tensors(stored, is_known=is_known)
    except (DamageError, OSError) as error:
        _require_plain(path, mentioned)
        raise CheckpointError(f"{path} is damaged or cut off: {error}; download or copy it again") from error


def read_record(path: Path, table: str) -> dict[str, Any]:
    """Read a file of plain values and one ``table`` of tensors, each checked before it is read.

    Raises ``CheckpointError`` if the file is damaged, holds other objects, or is of another kind.
    """
    mentioned = Mentioned()
    try:
        opened = _open(path, mentioned, False)
        _require_plain(path, mentioned)
        content = opened.content
        stored = content.get(table) if isinstance(content, dict) else None
        if not isinstance(stored, dict) or len(stored) > MOST_TENSORS:
            raise DamageError(f"it holds no table of tensors under {table!r}")
        for name, value in stored.items():
            if not isinstance(value, StoredTensor) or not value.is_floating_point:
                raise DamageError(f"{name} is {_kind(value)}")
            value.require_whole()
        return {**content, table: opened.tensors(stored, is_known=False)}
    except (DamageError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or cut off: {error}") from error


def _open(path: Path, mentioned: Mentioned, is_known: bool) -> OpenedFile:
    match checkpoint_format(path):
        case "zip":
            return open_zip(path, mentioned, is_known=is_known)
        case "pickle":
            return open_pickles(path, mentioned)
        case "safetensors":
            return open_safetensors(path)


def _require_plain(path: Path, mentioned: Mentioned) -> None:
    """Refuse a file that names other objects than weights, because it is made to be executed."""
    foreign = mentioned.foreign
    if any(name.startswith(("torch_em.", "micro_sam.")) for name in foreign):
        raise CheckpointError(
            f"{path} is an unfinished training checkpoint of micro-sam, which holds data sets beside the "
            f"weights: export it with micro_sam.util.export_custom_sam_model and use the exported file"
        )
    if foreign:
        named = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise CheckpointError(
            f"{path} asks Python for objects other than weights ({named}), and was not executed; "
            f"if you trust its source, ask there for a plain state dict"
        )


def _weights(opened: OpenedFile, path: Path) -> dict[str, StoredTensor]:
    """Table of weights under the published names, each checked."""
    table = _table(opened.content, path)
    named = [(published, key) for key, published in published_names(table) if published not in IGNORED]
    if len(named) > MOST_TENSORS:
        raise CheckpointError(f"{path} holds {len(named)} tensors, a Segment Anything network some hundred")
    relative = relative_of([str(key) for key in table])
    if relative is not None:
        raise CheckpointError(f"{path} is {relative}")
    stored: dict[str, StoredTensor] = {}
    for name, key in named:
        value = table[key]
        if not isinstance(value, StoredTensor) or not value.is_floating_point:
            raise CheckpointError(
                f"{path} holds {key!r} as {_kind(value)} where weights are tables of floating-point numbers; "
                f"use the unquantised checkpoint"
            )
        if name in stored:
            raise CheckpointError(
                f"{path} holds {name!r} twice, with different prefixes; use one model per file"
            )
        stored[name] = value
    for name, value in stored.items():
        try:
            value.require_whole()
        except DamageError as error:
            raise DamageError(f"{name}: {error}") from error
    return stored


def _table(content: Any, path: Path) -> Mapping[Any, Any]:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds {_kind(content)} instead of a table of named weights")
    table = unwrap(content)
    if table is None:
        keys = ", ".join(repr(key)[:SHOWN_CHARACTERS] for key in list(content)[:5]) or "nothing"
        raise CheckpointError(
            f"{path} holds no weights where they are looked for (at the top or under "
            f"{', '.join(WRAPPERS)}): it holds {keys}"
        )
    return table


def _kind(value: object) -> str:
    if isinstance(value, StoredTensor):
        dtype = value.storage.dtype
        return "a tensor" if dtype is None else f"a tensor of {str(dtype).removeprefix('torch.')}"
    return f"a {type(value).__name__}"
