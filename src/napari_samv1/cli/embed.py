"""``napari-samv1 embed``: images encoded ahead."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import napari_samv1
from napari_samv1.cli.failing import fail

if TYPE_CHECKING:
    from napari_samv1.disk.embeddings import EmbeddingFolder
    from napari_samv1.engine.predictor import Predictor
    from napari_samv1.engine.view import ImageView

LARGEST_SHARE = 0.9
"""Largest share of the cache for one image: more would push out regions that were just encoded."""


def run(words: list[str]) -> int:
    """Encode the regions of images into a folder, except those that it holds already."""
    parser = argparse.ArgumentParser(
        prog="napari-samv1 embed",
        description="Encode images ahead, so that every prompt on them is answered at once; continues an "
        "interrupted run. Several processes may fill one folder.",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="TIFF, PNG, JPEG, npy or OME-Zarr")
    parser.add_argument("--model", default="tiny", metavar="NAME_OR_PATH", help="default: tiny")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument(
        "--detail",
        action="append",
        type=_detail,
        metavar="DETAIL",
        help="model pixels for each image pixel, or whole; may be repeated (default: 1 and whole)",
    )
    parser.add_argument(
        "--plane", type=_plane, metavar="N[,N...]", help="only this plane of a stack (default: all planes)"
    )
    parser.add_argument(
        "--rounding",
        default="float32",
        choices=["float32", "float16"],
        help="float16 halves the files; scripts must then pass it to on_image too (default: float32)",
    )
    parser.add_argument("--cache", metavar="FOLDER", help="the folder (default: napari-samv1's cache)")
    chosen = parser.parse_args(words)
    from napari_samv1.checkpoints.folders import embeddings_folder
    from napari_samv1.disk.embeddings import EmbeddingFolder
    from napari_samv1.engine.disk_store import DiskStore

    try:
        folder = EmbeddingFolder(chosen.cache or embeddings_folder())
        model = napari_samv1.load_model(chosen.model, device=chosen.device, dtype=chosen.dtype)
    except ValueError as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{error.filename} cannot be read: {error.strerror}")
    predictor, status = napari_samv1.Predictor(model), 0
    # the folder's failure is told at the end
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Embeddings are not written")
        for path in chosen.images:
            try:
                views = list(_views(predictor, path, chosen, DiskStore(folder)))
                _embed(path, views, chosen.detail or [1.0, "whole"], folder)
            except (ValueError, napari_samv1.ReadError) as error:
                status = fail(f"{path}: {error}")
            if folder.failure:
                status = fail(
                    f"{path}: embeddings could not be written to {folder.folder}: {folder.failure}; mend "
                    f"that or choose another --cache, and run it again"
                )
                break
    held = folder.occupied()
    print(f"{folder.folder}\n{held.count} embeddings, {held.nbytes / 1e6:.1f} MB")
    return status


def _views(predictor: Predictor, path: str, chosen: argparse.Namespace, store: Any) -> Iterator[ImageView]:
    import numpy as np

    source = napari_samv1.open_source(path)
    leading = source.shapes[0][:-2]
    for place in np.ndindex(leading) if chosen.plane is None else [chosen.plane]:
        plane = (*place, None, None) if leading else None
        yield predictor.on_image(source, plane=plane, cache=store, rounding=chosen.rounding)


def _embed(path: str, views: list[ImageView], details: list[Any], folder: EmbeddingFolder) -> None:
    regions = [
        (view, window) for view in views for window in dict.fromkeys(w for d in details for w in view.grid(d))
    ]
    view, window = regions[0]
    # all regions are as large as the first
    nbytes = view.encode(window).nbytes * len(regions)
    if nbytes > LARGEST_SHARE * folder.most_bytes:
        raise ValueError(
            f"its {len(regions)} regions would take {nbytes / 1e9:.1f} GB of a cache of "
            f"{folder.most_bytes / 1e9:g} GB; choose a coarser --detail, e.g. 0.25, or only --detail whole"
        )
    for done, (view, window) in enumerate(regions, start=1):
        view.encode(window)
        # the others would be lost as well
        if folder.failure:
            return
        if done == len(regions) or 10 * done // len(regions) > 10 * (done - 1) // len(regions):
            print(f"{path}: {done} of {len(regions)} regions", file=sys.stderr, flush=True)


def _detail(word: str) -> float | str:
    from napari_samv1.records.detail import checked_detail

    try:
        return checked_detail("whole" if word == "whole" else float(word))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a positive number or whole, got {word}") from error


def _plane(word: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in word.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be whole numbers with commas, got {word}") from error
