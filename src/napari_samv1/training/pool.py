"""A pool of scenes on disk: drawn once, read at random while training.

Scenes are stored in shards, two plain ``.npy`` files each, so that a reader maps them and reads only the
scenes it needs. Every scene depends on the seed and its number alone: a pool can grow, or be drawn in parts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.training.scenes.kinds import KINDS, SHARES, Shares, draw_scene


def _write(path: Path, array: NDArray[np.generic]) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, array)
    part.replace(path)


def draw_shard(
    folder: Path,
    seed: int,
    index: int,
    side: int,
    shares: Shares = SHARES,
    *,
    shard: int = 64,
    scenes: int | None = None,
) -> None:
    """Draw one shard of ``shard`` scenes, or only the first ``scenes`` of them, unless they are there."""
    wanted = shard if scenes is None else scenes
    labels_path = folder / f"labels_{index:05d}.npy"
    if _held(labels_path) >= wanted:
        return
    drawn = [
        draw_scene(np.random.default_rng([seed, index * shard + i]), (side, side), shares=shares)
        for i in range(wanted)
    ]
    _write(folder / f"images_{index:05d}.npy", np.stack([scene.image for scene in drawn]))
    _write(labels_path, np.stack([scene.levels for scene in drawn]))


def draw_pool(
    folder: Path,
    *,
    seed: int,
    scenes: int,
    side: int = 384,
    shares: Shares = SHARES,
    shard: int = 64,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw the missing scenes of a pool of ``scenes``, on ``workers`` processor cores or by default all.

    Raises
    ------
    ValueError
        If the folder holds scenes of other settings or code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn_by = {"seed": seed, "side": side, "shares": dict(shares), "shard": shard, "drawing": fingerprint()}
    _claim(folder, drawn_by)
    # the last shard may be smaller, and is drawn again where the pool grows beyond it
    wanted = {i: min(shard, scenes - i * shard) for i in range(-(-scenes // shard))}
    missing = [i for i, count in wanted.items() if _held(folder / f"labels_{i:05d}.npy") < count]
    if not missing:
        return
    # no more than shards, because all processes start at once and import everything
    count = min(usable_cores() if workers is None else workers, len(missing))
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as processes:
        jobs = [
            processes.submit(draw_shard, folder, seed, i, side, shares, shard=shard, scenes=wanted[i])
            for i in missing
        ]
        done, total = 0, sum(wanted[i] for i in missing)
        for i, job in zip(missing, jobs, strict=True):
            job.result()
            done += wanted[i]
            if on_progress is not None:
                on_progress(done, total)


def usable_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _held(labels: Path) -> int:
    """Count the scenes of a shard."""
    return len(np.load(labels, mmap_mode="r")) if labels.exists() else 0


def fingerprint() -> str:
    """Hash of a small scene of every kind, which changes with the code that draws."""
    digest = hashlib.sha256()
    for kind in KINDS:
        scene = draw_scene(np.random.default_rng(0), (64, 64), kind)
        digest.update(scene.image.tobytes())
        digest.update(scene.levels.tobytes())
    return digest.hexdigest()


def _claim(folder: Path, drawn_by: dict[str, Any]) -> None:
    """Record the settings of a folder's scenes; raise if it holds scenes of other settings."""
    path = folder / "pool.json"
    recorded = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    if recorded is not None:
        recorded.setdefault("shard", 64)  # missing in pools that were drawn before it could be chosen
    if recorded is None and not any(folder.glob("labels_*.npy")):
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(drawn_by), encoding="utf-8")
        part.replace(path)
    elif recorded != drawn_by:
        other = [n for n, value in drawn_by.items() if recorded is None or recorded.get(n) != value]
        raise ValueError(
            f"{folder} holds scenes of another {', '.join(other)}; delete it, or give another --work folder"
        )


class Pool:
    """The scenes of a folder, in order."""

    def __init__(self, folder: Path, *, scenes: int | None = None) -> None:
        labels = sorted(folder.glob("labels_*.npy"))
        if not labels:
            raise ValueError(f"no scenes in {folder}; draw them first with `napari-samv1 train`")
        self._shard = len(np.load(labels[0], mmap_mode="r"))
        self._most = scenes
        if scenes is not None:
            labels = labels[: -(-scenes // self._shard)]
        self._labels = [np.load(path, mmap_mode="r") for path in labels]
        self._images = [
            np.load(path.with_name(path.name.replace("labels", "images")), mmap_mode="r") for path in labels
        ]

    def __len__(self) -> int:
        held = sum(map(len, self._labels))
        return held if self._most is None else min(held, self._most)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Image (H, W, 3) and label levels (3, H, W)."""
        shard, place = divmod(index, self._shard)
        return self._images[shard][place], self._labels[shard][place]
