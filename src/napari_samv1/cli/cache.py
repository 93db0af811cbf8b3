"""``napari-samv1 cache``: what is encoded ahead on the disk."""

from __future__ import annotations

import argparse

from napari_samv1.cli.failing import fail


def run(words: list[str]) -> int:
    """Tell what the folder of embeddings holds, or empty it."""
    parser = argparse.ArgumentParser(
        prog="napari-samv1 cache", description="Embeddings that are kept on the disk."
    )
    parser.add_argument("verb", choices=["info", "clear"], help="tell what there is; remove all of it")
    parser.add_argument("--cache", metavar="FOLDER", help="the folder (default: the one of napari-samv1)")
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
