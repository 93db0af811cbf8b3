"""``napari-samv1 cache``: size and removal of the embeddings on disk."""

from __future__ import annotations

import argparse

from napari_samv1.cli.failing import fail


def run(words: list[str]) -> int:
    """Print the size of the folder of embeddings, or empty it."""
    parser = argparse.ArgumentParser(
        prog="napari-samv1 cache", description="Show or remove the embeddings on disk."
    )
    parser.add_argument("verb", choices=["info", "clear"], help="show number and size; remove all")
    parser.add_argument("--cache", metavar="FOLDER", help="the folder (default: napari-samv1's cache)")
    chosen = parser.parse_args(words)
    from napari_samv1.checkpoints.folders import embeddings_folder
    from napari_samv1.disk.embeddings import EmbeddingFolder

    try:
        folder = EmbeddingFolder(chosen.cache or embeddings_folder())
        held = folder.clear() if chosen.verb == "clear" else folder.occupied()
    except (OSError, ValueError) as error:
        return fail(str(error))
    done = "removed " if chosen.verb == "clear" else ""
    print(folder.folder)
    print(f"{done}{held.count} embeddings, {held.nbytes / 1e6:.1f} MB; at most {held.most_bytes / 1e9:g} GB")
    return 0
