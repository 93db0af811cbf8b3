"""A process that is killed while it saves a session over another, once at each thing that it does to files.

Its argument is a folder. Below it a folder for each kill is made, which holds the first session, and perhaps
parts of the second; the last one is saved to the end. A script, as a kill needs a process of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

# of this folder
from victim import SHAPE, object_number

from napari_samv1.annotation.pieces import Object
from napari_samv1.storage.session.folder import save_session
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}


def session(first: int, count: int, images: int) -> SessionRecord:
    """Objects from ``first`` on, in each of several images."""
    pieces = tuple(object_number(number) for number in range(first, first + count))
    beneath = np.full(SHAPE, 5000 + first, dtype=np.uint16)
    plane = PlaneRecord(
        PlaneSource("image", SHAPE, "uint8"), SHAPE, pieces, tuple(one.id for one in pieces), beneath
    )
    objects = tuple(Object(one.id, one.settings) for one in pieces)
    return SessionRecord((ImageRecord(objects, (plane,)),) * images)


def before() -> SessionRecord:
    return session(1, 3, images=2)


def after() -> SessionRecord:
    return session(2, 5, images=1)


def save_until(folder: Path, step: int) -> None:
    """Save, and be killed before the ``step``-th thing that is done to a file of the folder."""
    done = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if event in EVENTS and str(arguments[0]).startswith(str(folder)):
            done += 1
            if done == step:
                os.kill(os.getpid(), 9)

    sys.addaudithook(count)
    save_session(folder, after())


def main() -> None:
    root = Path(sys.argv[1])
    step, finished = 0, False
    while not finished:
        step += 1
        folder = root / f"{step:03d}"
        save_session(folder, before())
        child = os.fork()
        if child == 0:
            save_until(folder, step)
            os._exit(0)
        finished = os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    main()
