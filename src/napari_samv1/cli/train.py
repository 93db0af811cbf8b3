"""``napari-samv1 train``: make the bundled model again."""

from __future__ import annotations

import argparse


def run(words: list[str]) -> int:
    """Make the bundled model from a seed."""
    from napari_samv1.training import command

    parser = argparse.ArgumentParser(
        prog="napari-samv1 train",
        description="Make the bundled model from a seed, in hours; an interrupted run continues. It learns "
        "from synthetic scenes: it is not for your own images, which are only scored (--images).",
    )
    command.add_arguments(parser)
    chosen = parser.parse_args(words)
    if chosen.keep is not None and not chosen.init:
        parser.error("--keep is for a run that starts from weights: give them with --init")
    if (chosen.rounds or chosen.head) and not chosen.dense_head:
        parser.error("--rounds and --head are for a dense head: name its model with --dense-head")
    return command.run(chosen)
