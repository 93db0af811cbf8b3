"""The file of a dense head, NAME-dense.pt beside the weights NAME.pt: tensors and numbers, no code."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_samv1.checkpoints.digests import Digests
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.read import read_record
from napari_samv1.checkpoints.record import LoadedHead
from napari_samv1.model.dense_head import MAPS, DenseHead, DenseHeadConfig
from napari_samv1.records.calibration import Calibration

FORMAT = "napari-samv1 dense head 1"


def head_path(weights: Path) -> Path:
    """Return the path of the head beside a weight file, present or not."""
    return weights.with_name(f"{weights.stem}-dense.pt")


def save_head(path: Path, head: DenseHead, calibration: Calibration, weights_sha256: str) -> str:
    """Write a head for the weights of that sha256, in half precision; return the file's sha256."""
    content = {
        "format": FORMAT,
        "weights": weights_sha256,
        "calibration": asdict(calibration),
        "head": {
            name: tensor.detach().half().cpu().contiguous() for name, tensor in head.state_dict().items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save(content, part)
    part.replace(path)
    return Digests.of_file(path).sha256


def load_head_beside(
    weights: Path, weights_sha256: str, device: torch.device, *, digest: str | None = None
) -> LoadedHead | None:
    """Load the head beside a weight file; None if there is none, or if it was made for other weights.

    Raises
    ------
    CheckpointError
        If the file is damaged, of another kind, or not the one of ``digest``.
    """
    path = head_path(weights)
    if not path.is_file():
        return None
    loaded = load_head(path)
    if digest is not None and f"sha256:{loaded.sha256}" != digest:
        raise CheckpointError(
            f"{path} is not the published head: expected {digest}, got sha256:{loaded.sha256}; "
            f"reinstall napari-samv1"
        )
    if loaded.weights_sha256 != weights_sha256:
        warnings.warn(
            f"{path} was made for other weights than those of {weights.name}: automatic masks go without it",
            stacklevel=3,
        )
        return None
    loaded.head.to(device)
    return loaded


def load_head(path: Path) -> LoadedHead:
    """Load a head in float32 on the CPU, for use and not for training.

    Raises
    ------
    CheckpointError
        If the file is damaged or of another kind.
    """
    content = _read(path)
    try:
        calibration = _calibration(content["calibration"])
        head = _head(content["head"])
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} holds no dense head: {error}") from error
    return LoadedHead(head, calibration, Digests.of_file(path).sha256, str(content["weights"]))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = read_record(path, "head")
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} is damaged, or no dense head: remove it, or copy it again ({error})"
        ) from error
    if content.get("format") != FORMAT:
        raise CheckpointError(f'{path} is no "{FORMAT}": remove it, or copy it again')
    if missing := {"weights", "calibration", "head"} - set(content):
        raise CheckpointError(f"{path} lacks {', '.join(sorted(missing))}: copy it again")
    return content


def _calibration(numbers: Mapping[str, Any]) -> Calibration:
    values: dict[str, Any] = {}
    for field in fields(Calibration):
        value = numbers[field.name]
        several = isinstance(value, tuple | list)
        values[field.name] = tuple(float(one) for one in value) if several else float(value)
        if not all(map(math.isfinite, values[field.name] if several else (values[field.name],))):
            raise ValueError(f"{field.name} is not finite")
    return Calibration(**values)


def _head(tensors: Mapping[str, Tensor]) -> DenseHead:
    """Build a head of its tensors' sizes, for use and not for training."""
    width, channels = tensors["narrow.weight"].shape[:2]
    config = DenseHeadConfig(
        channels=channels,
        width=width,
        depth=_count(tensors, "coarse"),
        fine_width=tensors["widen.weight"].shape[0] // 4,
        fine_depth=_count(tensors, "fine"),
        stem_width=tensors["stem.look.weight"].shape[0] if "stem.look.weight" in tensors else 0,
    )
    if tensors["maps.weight"].shape[0] != 4 * MAPS:
        raise ValueError(f"its last layer makes {tensors['maps.weight'].shape[0]} maps of 4 x {MAPS}")
    with torch.device("meta"):  # no memory before the sizes are checked
        head = DenseHead(config)
    # raises if names or shapes differ; copied, because the file may be deleted
    head.load_state_dict(
        {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}, assign=True
    )
    return head.eval().requires_grad_(False)


def _count(tensors: Mapping[str, Tensor], part: str) -> int:
    return len({name.split(".")[1] for name in tensors if name.startswith(f"{part}.")})
