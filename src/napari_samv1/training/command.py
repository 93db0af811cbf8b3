"""`napari-samv1 train`: make the bundled model again, or train on from a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command; nothing heavy is imported before they are read."""
    parser.add_argument(
        "--work", type=Path, help="folder for scenes, states and curves (default: the user's cache)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: 0)")
    parser.add_argument(
        "--scenes",
        type=_some,
        help="size of the pool of synthetic scenes; the pool of late, larger ones grows in proportion",
    )
    parser.add_argument("--dense-steps", type=int, help="steps of the first stage, without prompts")
    parser.add_argument(
        "--where-steps", type=int, help="steps of the decoder alone, on places without objects"
    )
    parser.add_argument("--prompt-steps", type=int, help="steps of the last stage, with prompts")
    parser.add_argument(
        "--init", help="a known model or a weight file to start from, instead of random weights"
    )
    parser.add_argument(
        "--keep",
        type=_share,
        help="share of the weights of --init in the result, 0 to 1 (default: 0.3)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument(
        "--workers",
        type=int,
        help="processes that share every step (default: 2 on a processor, else 1); with --dense-head, "
        "processes that draw scenes ahead (default: 0)",
    )
    parser.add_argument(
        "--threads", type=int, help="processor threads of each process (default: 1; all for a single one)"
    )
    parser.add_argument("--until", type=int, help="stop after this step; the same command continues later")
    parser.add_argument(
        "--evaluate-every", type=int, default=250, help="steps between scores (0: only at the end)"
    )
    parser.add_argument("--images", type=Path, help="folder of NAME.* and NAME_labels.* to score as well")
    parser.add_argument(
        "--objects",
        type=_some,
        default=24,
        help="most objects to score in an image (default: 24)",
    )
    parser.add_argument(
        "--export",
        type=Path,
        help="file for the weights at the end, with a card and pictures beside it (default: in --work); "
        "with --score, folder for the calibration plot",
    )
    parser.add_argument(
        "--dense-head",
        metavar="MODEL",
        help="train a dense head for a known model or a weight file, whose weights do not change",
    )
    parser.add_argument("--rounds", type=_some, help="with --dense-head: rounds of scenes to learn from")
    parser.add_argument("--head", type=Path, help="with --dense-head: weights of a head to start from")
    parser.add_argument(
        "--score", help="print the score tables of a known model or a weight file, without training"
    )


def _some(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {count}")
    return count


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, got {text}")
    return share


def run(args: argparse.Namespace) -> int:
    """Train, with scores along the way; return the exit code."""
    if args.dense_head:
        from napari_samv1.training import dense_main

        return dense_main.train(args)
    from napari_samv1.training import main

    return main.score(args) if args.score else main.train(args)
