"""State of a run on disk, whole or not at all: an interrupted run continues from the last one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write to a file beside, then rename it: an old state is replaced only by a complete new one."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load_state(
    path: Path, recipe: DataclassInstance, origin: str, may_differ: Sequence[str] = ()
) -> dict[str, Any] | None:
    """Load the state of an earlier run of the same recipe from the same weights, or None.

    The recipe's fields ``may_differ`` are compared by the caller.

    Raises
    ------
    ValueError
        If the state is of another recipe, or of a run from other weights.
    """
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    # fields that a recipe of earlier code lacks had their defaults
    made_by = {**asdict(type(recipe)()), **state["recipe"]}
    changed = [name for name, value in asdict(recipe).items() if made_by[name] != value]
    if set(changed) - set(may_differ):
        raise ValueError(
            f"{path} is of a run with another {', '.join(changed)}; "
            "give the same recipe or another --work folder"
        )
    if state["origin"] != origin:
        saved, asked = (name or "random weights" for name in (state["origin"], origin))
        raise ValueError(f"{path} is of a run from {saved}, not from {asked}; give another --work folder")
    return state
