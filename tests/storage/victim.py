"""A process that annotates and autosaves until it is killed; a script, as a kill needs a process of its own.

Each line on stdin is a folder: for each, a process starts that prints ``offered N TIME`` after each offer and
``saved N`` once that many objects are known to be on the disk, until it is killed.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_samv1.annotation.pieces import Answer, Object, Piece, Request

# imported here, once, so that a victim costs a fork and not an import of everything
from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.drawn import drawn_point
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import ObjectSettings
from napari_samv1.storage.session.autosave import Autosave
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord

SHAPE = (512, 512)
KEY = EmbeddingKey(
    "0", "a", Preparation(side=64), Frame.plan(SHAPE, side=64, patch=8), None, 1.0, "float32", "cpu"
)
COMPUTATION = Computation("tiny", "tiny", Environment("0", "3", "2", "2", "here", "none", 1))


def object_number(number: int) -> Piece:
    """Its mask, prompts and threshold all follow from its number, so that a mixture shows."""
    mask = np.random.default_rng(number).random((40, 40)) > 0.5
    crop = MaskCrop.from_mask(mask, (number % 400, number // 400))
    point = number % 400 + 20, number // 400 + 20
    prompts, settings = Prompts([point], [1]), ObjectSettings(threshold=float(number % 8))
    return Piece(
        number,
        pointed=prompts,
        prompts=prompts,
        drawn=(drawn_point(point),),
        settings=settings,
        derived=crop,
        answer=Answer(Request(prompts, KEY), settings, crop, chosen=2, made_by=COMPUTATION),
        mask=crop,
        reason="",
    )


def beneath_number(number: int) -> np.ndarray:
    """Changes with every tenth object."""
    return np.full(SHAPE, number // 10 + 1, dtype=np.uint16)


def annotate(root: Path, out: int) -> None:
    autosave = Autosave(root, seconds_between=0.02)
    source = PlaneSource("image", SHAPE, "uint8")
    plane = PlaneRecord(source, SHAPE)
    objects: tuple[Object, ...] = ()
    for number in range(1, 4000):
        known = object_number(number)
        beneath = beneath_number(number) if number % 10 == 1 else plane.beneath
        plane = replace(
            plane,
            pieces=(*plane.pieces, known),
            order=(*plane.order, number),
            beneath=beneath,
        )
        objects = (*objects, Object(number, known.settings))
        autosave.offer(SessionRecord((ImageRecord(objects, (plane,)),)))
        os.write(out, b"offered %d %d\n" % (number, time.monotonic_ns()))
        if number % 7 == 0 and autosave.flush():
            os.write(out, b"saved %d\n" % number)
        time.sleep(0.002)


def main() -> None:
    out = sys.stdout.fileno()
    os.write(out, b"ready\n")
    for line in sys.stdin:
        root = Path(line.rstrip("\n"))
        if hasattr(os, "fork"):
            child = os.fork()
            if child == 0:
                annotate(root, out)
                os._exit(0)
            os.write(out, b"started %d\n" % child)
            os.waitpid(child, 0)
            os.write(out, b"ended 0\n")
        else:
            os.write(out, b"started %d\n" % os.getpid())
            annotate(root, out)


if __name__ == "__main__":
    main()
