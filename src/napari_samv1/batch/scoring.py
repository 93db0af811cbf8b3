"""Scores of label images against the truth: average precision at several overlaps, and its mean (mSA)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from napari_samv1.batch.inputs import without_suffix
from napari_samv1.batch.reading import read_labels
from napari_samv1.images.source import ReadError

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""Overlaps (IoU) from which on two objects match: 0.5, 0.55, ... 0.95."""


@dataclass(frozen=True)
class Score:
    """Matches of one label image, or the sums over several, for each of ``THRESHOLDS``.

    ``average_precision`` is TP / (TP + FP + FN), ``msa`` its mean over the thresholds.
    """

    name: str
    true_positives: tuple[int, ...]
    found: int
    wanted: int

    @property
    def average_precision(self) -> tuple[float, ...]:
        """Average precision at each threshold; 1 if neither image has objects."""
        together = self.found + self.wanted
        return tuple(hits / (together - hits) if together else 1.0 for hits in self.true_positives)

    @property
    def msa(self) -> float:
        return float(np.mean(self.average_precision))

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "found": self.found,
            "wanted": self.wanted,
            "average_precision": dict(zip(map(str, THRESHOLDS), self.average_precision, strict=True)),
            "msa": self.msa,
        }


def score(labels: ArrayLike, truth: ArrayLike, name: str = "") -> Score:
    """Score a label image, or a stack with separate labels on each plane, against the truth.

    Objects are matched one to one, as many as possible at each threshold. 0 is background.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    found, true = np.asarray(labels), np.asarray(truth)
    if found.shape != true.shape:
        raise ValueError(f"labels of shape {found.shape} cannot be scored against a truth of {true.shape}")
    planes = zip(found.reshape(-1, *found.shape[-2:]), true.reshape(-1, *true.shape[-2:]), strict=True)
    return total([_score_plane(*plane) for plane in planes], name)


def _score_plane(labels: NDArray[Any], truth: NDArray[Any]) -> Score:
    iou = overlaps(labels, truth)
    hits = tuple(_matches(iou, threshold) for threshold in THRESHOLDS)
    return Score("", hits, *iou.shape)


def overlaps(labels: NDArray[Any], truth: NDArray[Any]) -> coo_array:
    """IoU of every object (rows) with every true one (columns), of those that share pixels."""
    found_ids, found = np.unique(labels, return_inverse=True)
    true_ids, true = np.unique(truth, return_inverse=True)
    found_areas, true_areas = np.bincount(found.ravel()), np.bincount(true.ravel())
    pairs = found.ravel().astype(np.int64) * len(true_ids) + true.ravel()
    # sparse, because slides have more pairs of objects than pixels
    both, shared = np.unique(pairs, return_counts=True)
    row, column = np.divmod(both, len(true_ids))
    iou = shared / (found_areas[row] + true_areas[column] - shared)
    # without the background, which need not be there
    real = (found_ids[row] != 0) & (true_ids[column] != 0)
    places = (np.cumsum(found_ids != 0)[row[real]] - 1, np.cumsum(true_ids != 0)[column[real]] - 1)
    shape = np.count_nonzero(found_ids), np.count_nonzero(true_ids)
    return coo_array((iou[real], places), shape=shape)


def _matches(iou: coo_array, threshold: float) -> int:
    """Count the objects that can be matched one to one at an IoU of the threshold or more."""
    hits = iou.data >= threshold
    # above an IoU of one half, no object has two partners
    if threshold > 0.5 or not hits.any():
        return int(hits.sum())
    graph = csr_array((hits[hits], (iou.row[hits], iou.col[hits])), shape=iou.shape)
    return int((maximum_bipartite_matching(graph) >= 0).sum())


def total(scores: Iterable[Score], name: str = "total") -> Score:
    """Sum of the matches of several scores, so that every object counts the same."""
    some = list(scores)
    hits = np.sum([one.true_positives for one in some], axis=0, dtype=int).tolist() or [0] * len(THRESHOLDS)
    return Score(name, tuple(hits), sum(one.found for one in some), sum(one.wanted for one in some))


def pairs(labels: Path, truth: Path) -> list[tuple[str, Path, Path]]:
    """Name, labels and truth: two files, or the files of two folders that have the same relative names.

    Suffixes need not agree.

    Raises
    ------
    ReadError
        If a file is missing, or a true image has no labels.
    """
    for path in (labels, truth):
        if not path.exists():
            raise ReadError(f"there is no file or folder {path}")
    if not (_is_folder(labels) and _is_folder(truth)):
        return [(labels.name, labels, truth)]
    found, true = _by_name(labels), _by_name(truth)
    missing = sorted(set(true) - set(found))
    if missing or not true:
        lack = f"no labels for {', '.join(missing[:3])}" if missing else f"no label image in {truth}"
        raise ReadError(f"{lack}{', ...' if len(missing) > 3 else ''}")
    return [(name, found[name], true[name]) for name in sorted(true)]


def score_files(labels: Path, truth: Path) -> list[Score]:
    """A score for each pair of files.

    Raises
    ------
    ReadError
        If a file is missing, is no label image, or has another shape than its partner.
    """
    scores = []
    for name, found, true in pairs(labels, truth):
        try:
            scores.append(score(read_labels(found), read_labels(true), name))
        except ValueError as error:
            raise ReadError(f"{found}: {error}") from error
    return scores


def table(scores: Sequence[Score]) -> str:
    """Table with a line for each score and, for several, their total."""
    lines = [*scores, total(scores)] if len(scores) > 1 else list(scores)
    width = max(len("labels"), *(len(one.name) for one in lines))
    head = "  ".join(
        ("labels".ljust(width), "found", " true", *(f"AP{100 * t:.0f}" for t in THRESHOLDS), " mSA")
    )
    rows = [
        "  ".join(
            (
                one.name.ljust(width),
                f"{one.found:5d}",
                f"{one.wanted:5d}",
                *(f"{ap:.2f}" for ap in one.average_precision),
                f"{one.msa:.2f}",
            )
        )
        for one in lines
    ]
    return "\n".join((head, *rows))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and path.suffix != ".zarr"


def _by_name(folder: Path) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        *above, name = path.relative_to(folder).parts
        if path.suffix.lower() not in (".tif", ".tiff", ".npy", ".png", ".zarr") or name.startswith("."):
            continue
        if any(part.startswith(".") or part.endswith(".zarr") for part in above):
            continue
        stem = without_suffix(path.relative_to(folder).as_posix())
        if stem in named:
            raise ReadError(f"{named[stem]} and {path} have the same name: keep one of them in the folder")
        named[stem] = path
    return named
