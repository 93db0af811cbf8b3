"""Trained weights -> a file that `load_model` reads, with a model card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_samv1.checkpoints.load import build_network
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.model.config import SamConfig
from napari_samv1.records.preparation import Preparation


def in_memory(
    weights: Mapping[str, Tensor], config: SamConfig, preparation: Preparation, name: str
) -> LoadedModel:
    """Weights by our names as a model ready for use, as after saving and loading."""
    published = to_published(weights, config)
    digest = hashlib.sha256()
    for key in sorted(published):
        digest.update(published[key].detach().cpu().float().numpy().tobytes())
    return LoadedModel(build_network(published, config), config, preparation, name, digest.hexdigest())


def export(weights: Mapping[str, Tensor], config: SamConfig, path: Path) -> str:
    """Write weights under their published names in half precision; return the file's sha256.

    The frequencies of the coordinate encoding stay in float32: rounding them would move every prompt.
    """
    published = to_published(weights, config)
    tensors = {
        name: (tensor if "gaussian_matrix" in name else tensor.half()).detach().cpu().contiguous()
        for name, tensor in published.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save(tensors, part)
    part.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_card(path: Path, facts: Mapping[str, Any], tables: str, *, bundled: bool) -> None:
    """Write a model card beside the weights: their origin, their scores and their limits.

    ``bundled`` is True for weights trained from random ones, not from a checkpoint.
    """
    begun = "in the TINY size, trained from nothing" if bundled else "trained further from a checkpoint"
    lines = [
        "# Model card: the bundled model" if bundled else "# Model card",
        "",
        f"Segment Anything's network (Kirillov et al. 2023) {begun}, on synthetic scenes: nuclei, crowds,",
        "coins, particles, tissues, nested cells, stained sections; no photograph is among them.",
        "",
        "## Training",
        "",
        "```json",
        json.dumps(dict(facts), indent=2),
        "```",
        "",
        "## Scores",
        "",
        tables,
        "",
        "## Limits",
        "",
        "- It knows blobs, discs, grains and cells behind membranes. For photographs of everyday things, or",
        "  for outlines that only knowledge of the subject reveals, take a published model.",
        "- Objects smaller than about 8 pixels at the model's own side are found coarsely: crop or enlarge.",
        "- A click tells least in crowded tissue and where contrast is near the noise; a box tells more.",
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text("\n".join(lines), encoding="utf-8")
    part.replace(path)
