"""``napari-samv1 score``: label images against the truth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

EPILOG = """\
AP is TP / (TP + FP + FN) at each overlap (IoU) from 0.5 to 0.95, objects matched one to one; mSA is its mean.
Planes of a stack are scored by themselves and added up.

exit status: 0 scored, 2 misused or not readable
"""


def run(words: list[str]) -> int:
    """Print AP and mSA tables."""
    from napari_samv1.batch.scoring import score_files, table, total
    from napari_samv1.images.source import ReadError

    parser = argparse.ArgumentParser(
        prog="napari-samv1 score",
        description="Compare label images with true ones: average precision and its mean.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("labels", metavar="LABELS", type=Path, help="a label image, or a folder of them")
    parser.add_argument(
        "truth", metavar="TRUTH", type=Path, help="the true one, or a folder with the same names"
    )
    parser.add_argument("--json", action="store_true", help="as JSON: a list of images, and their total")
    chosen = parser.parse_args(words)
    try:
        scores = score_files(chosen.labels, chosen.truth)
    except ReadError as error:
        parser.error(str(error))
    if chosen.json:
        content = {"images": [one.to_json() for one in scores], "total": total(scores).to_json()}
        print(json.dumps(content, indent=1))
    else:
        print(table(scores))
    return 0
