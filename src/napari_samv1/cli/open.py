"""``napari-samv1 [FILE...]``: images in napari, with the panel docked."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """\
other commands:
  napari-samv1 models                  list the known models; mark those on disk
  napari-samv1 models download NAME    fetch one; continues an unfinished download
  napari-samv1 models verify [NAME]    check the files on disk against the published hashes
  napari-samv1 segment INPUT... --output DIR
                                       find the objects in images, write label images
  napari-samv1 score LABELS TRUTH      compare label images with true ones
  napari-samv1 embed IMAGE...          encode images ahead, for scripts and for segment --cache
  napari-samv1 cache info|clear        show or remove the embeddings on disk
  napari-samv1 replay SESSION          make every mask of a saved session again, and compare
  napari-samv1 train                   make the bundled model again

A file that is named like a command is opened by its path: ./models
"""


def run(words: list[str]) -> int:
    """Open images in napari with the panel docked."""
    parser = argparse.ArgumentParser(
        prog="napari-samv1",
        description="Open images in napari with the Segment Anything panel docked.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="images to open (default: a sample image)")
    parser.add_argument(
        "--model", metavar="NAME_OR_PATH", help="a known model or a checkpoint file (default: the last used)"
    )
    parser.add_argument(
        "--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps (default: the last used)"
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    chosen = parser.parse_args(words)
    if chosen.version:
        from importlib.metadata import version

        print(f"napari-samv1 {version('napari-samv1')}")
        return 0
    missing = [file for file in chosen.files if "://" not in file and not Path(file).exists()]
    if missing:
        parser.error(f"there is no file {missing[0]}")
    from napari_samv1.widgets.launch import launch

    return launch(chosen.files, chosen.model, chosen.device)
