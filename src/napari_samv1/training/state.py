"""A run's state on disk, whole or not at all: a run cut off at any moment goes on from the last one."""

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
    """Write beside, then take the name: an old state is replaced only by a complete new one."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load_state(
    path: Path, recipe: DataclassInstance, origin: str, may_differ: Sequence[str] = ()
) -> dict[str, Any] | None:
    """The state of an earlier run of the same recipe from the same weights, or None.

    The fields ``may_differ`` of the recipe are the caller's to compare.

    Raises
    ------
    ValueError
        If the state is of another recipe, or of a run from other weights.
    """
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    # what a recipe of earlier code did not name was as it is by default
    made_by = {**asdict(type(recipe)()), **state["recipe"]}
    changed = [name for name, value in asdict(recipe).items() if made_by[name] != value]
    if set(changed) - set(may_differ):
        raise ValueError(
            f"{path} is of a run with another {', '.join(changed)}; "
            "give the same recipe or another --work folder"
        )
    if state["origin"] != origin:
        known, asked = (name or "random weights" for name in (state["origin"], origin))
        raise ValueError(f"{path} is of a run from {known}, not from {asked}; give another --work folder")
    return state
