"""Score automatic masks on images with labels, beside Otsu's threshold with a watershed and a grid of points.

    python scripts/real_images.py FOLDER
    python scripts/automatic_accuracy.py FOLDER/automatic [NAME...]

Prints a Markdown table: average precision TP / (TP + FP + FN) at an IoU of 0.5 to 0.95 and its mean (mSA).
What lies mostly in NAME_ignored.npy and is no labelled object counts as neither right nor wrong.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage import feature, filters, measure, morphology, segmentation

from napari_samv1 import Predictor, load_model, segment_everything
from napari_samv1.batch.scoring import THRESHOLDS, overlaps, score
from napari_samv1.training.evaluate.images import TestImage, from_folder

GRID = {"mode": "grid", "detail": "whole", "pred_iou_thresh": 0.6, "stability_score_thresh": 0.8}
SHOWN = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="images to score (default: all)")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--threads", type=int, help="processor threads (default: all)")
    parser.add_argument("--no-grid", action="store_true", help="leave out the grid, which takes longest")
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    predictor = Predictor(load_model(chosen.model))
    head = ("image", "objects", "method", "found", *(f"AP {t:g}" for t in SHOWN), "mSA", "s")
    print(f"| {' | '.join(head)} |\n|---|---:|---|" + "---:|" * (len(head) - 3))
    for test in from_folder(chosen.folder):
        if chosen.names and test.name not in chosen.names:
            continue
        ignored_path = chosen.folder / f"{test.name}_ignored.npy"
        ignored = np.load(ignored_path) if ignored_path.exists() else np.zeros(test.labels.shape, bool)
        methods = ["seeds", "Otsu + watershed"] + ([] if chosen.no_grid else ["grid"])
        for method in methods:
            print(row(predictor, test, ignored, method), flush=True)


def row(predictor: Predictor, test: TestImage, ignored: NDArray[np.bool_], method: str) -> str:
    """A line of the table."""
    started = time.perf_counter()
    if method == "seeds":
        labels = segment_everything(predictor, test.image, mode="seeds").labels()
    elif method == "grid":
        labels = segment_everything(predictor, test.image, **GRID).labels()
    else:
        labels = otsu_watershed(test.image)
    seconds = time.perf_counter() - started
    result = score(without_ignored(labels.astype(np.int64), test.labels, ignored), test.labels)
    precision = dict(zip(THRESHOLDS, result.average_precision, strict=True))
    shown = [f"{precision[t]:.2f}" for t in SHOWN] + [f"{result.msa:.3f}", f"{seconds:.1f}"]
    return f"| {test.name} | {result.wanted} | {method} | {result.found} | {' | '.join(shown)} |"


def without_ignored(
    labels: NDArray[np.int64], truth: NDArray[np.int64], ignored: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Labels without objects of which most is ignored, and that are no true object."""
    ids = np.setdiff1d(np.unique(labels), 0)
    if not len(ids):
        return labels
    share = ndimage.mean(ignored, labels, ids)
    iou = overlaps(labels, truth)
    right = np.zeros(len(ids), bool)
    right[iou.row[iou.data >= THRESHOLDS[0]]] = True
    return np.where(np.isin(labels, ids[(share > 0.5) & ~right]), 0, labels)


def otsu_watershed(image: NDArray[np.generic]) -> NDArray[np.int64]:
    """What is brighter than Otsu's threshold, holes filled, cut by a watershed at the depths' maxima."""
    grey = image.astype(float)
    grey = filters.gaussian(grey.mean(axis=2) if grey.ndim == 3 else grey, 1)
    mask = grey > filters.threshold_otsu(grey)
    mask = morphology.remove_small_objects(ndimage.binary_fill_holes(mask), 30)
    depth = filters.gaussian(ndimage.distance_transform_edt(mask), 1)
    apart = max(3, int(np.percentile(depth[mask], 90) * 0.7)) if mask.any() else 5
    hearts = feature.peak_local_max(
        depth, min_distance=apart, labels=measure.label(mask), exclude_border=False
    )
    seeds = np.zeros(mask.shape, np.int64)
    seeds[tuple(hearts.T)] = np.arange(1, len(hearts) + 1)
    return np.asarray(segmentation.watershed(-depth, seeds, mask=mask), np.int64)


if __name__ == "__main__":
    main()
