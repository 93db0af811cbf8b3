"""Images of any size: the first mask, what is read for it, the cache, objects on borders, native detail."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import clock, fresh, peak_beyond, say, table
from napari_samv1.checkpoints.load import load_model
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.predictor import Predictor
from napari_samv1.engine.view import ImageView
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts
from napari_samv1.training.evaluate.images import HELD_OUT_SEED, TestImage, coins, from_folder
from napari_samv1.training.evaluate.objects import Target, targets
from napari_samv1.training.scenes.kinds import draw_scene

SIDES = (2_000, 8_000, 100_000)
PITCH, RADIUS = 250, 60
CLICKS = 5
SCENES = ("nuclei", "coins", "particles", "tissue")
SCENE_SIDE = 1150
OFFSETS = (0, 56, 112, 168)
LARGEST_IN_MEMORY = 10_000


class Discs:
    """An image of textured discs that is made where it is read, every ``factor`` pixels of the full one."""

    dtype = np.dtype(np.uint8)

    def __init__(self, side: int, factor: int) -> None:
        self.factor = factor
        self.shape = (-(-side // factor), -(-side // factor))
        self.pixels = 0
        self.reads = 0

    def __getitem__(self, cut: tuple[slice, slice]) -> NDArray[np.uint8]:
        y, x = (self.factor * np.arange(size)[one] for size, one in zip(self.shape, cut, strict=True))
        self.pixels += len(y) * len(x)
        self.reads += 1
        away_y, away_x = y % PITCH - PITCH // 2, x % PITCH - PITCH // 2
        inside = away_y[:, None] ** 2 + away_x[None, :] ** 2 < RADIUS**2
        texture = (7 * y[:, None] + 13 * x[None, :]) % 31
        return (40 + 140 * inside + texture).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="the folder that scripts/real_images.py makes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "WAY"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child is not None:
        print(json.dumps(first_masks(int(chosen.child[0]), chosen.child[1])))
        return
    print(speed(chosen.rounds), cache(), borders(), accuracy(chosen.images), sep="\n\n")


def first_masks(side: int, way: str) -> dict[str, float]:
    """Opening, the first click, and five clicks far apart, on discs of that side, as a view or as a whole."""
    levels = [Discs(side, 2**level) for level in range(10) if side // 2**level >= 300]
    # an image in memory is an array; a larger one is made where it is read
    image: Any = levels[0][:, :] if side <= LARGEST_IN_MEMORY else levels
    for level in levels:
        level.pixels = level.reads = 0
    predictor = Predictor(load_model("tiny", device="cpu"))
    warm = predictor.embed(np.zeros((448, 448), np.uint8))
    predictor.answer(warm, Prompts([(1, 1)], [1]))
    started = clock()
    predictor.embed(np.zeros((448, 448), np.uint8))
    told = {"encode": clock() - started}
    count = side // PITCH
    cells = [(0, 0), (0, count - 1), (count // 2, count // 2), (count - 1, 1), (count - 1, count - 1)]
    clicks = [Prompts([tuple(PITCH * cell + PITCH // 2 for cell in own)], [1]) for own in cells]

    def answer_all() -> None:
        started = clock()
        answer: Callable[[Prompts], Prediction]
        if way == "view":
            answer = predictor.on_image(image).answer
            told["open"] = clock() - started
        else:
            embedding = predictor.embed(image)
            told["open"] = clock() - started
            answer = partial(predictor.answer, embedding)
        ious = []
        for number, (cell, prompts) in enumerate(zip(cells, clicks, strict=True)):
            prediction = answer(prompts)
            crop = prediction.crop(prediction.best())
            if number == 0:
                told["first"] = clock() - started
            ious.append(overlap(crop, disc(cell)))
        told["all"] = clock() - started
        told["iou"] = float(np.mean(ious))

    told["megabytes"] = peak_beyond(answer_all)
    told["pixels"] = sum(level.pixels for level in levels)
    told["reads"] = sum(level.reads for level in levels)
    return told


def disc(cell: tuple[int, int]) -> MaskCrop:
    """The disc of a cell."""
    y, x = np.mgrid[:PITCH, :PITCH] - PITCH // 2
    return MaskCrop.from_mask(y**2 + x**2 < RADIUS**2, (PITCH * cell[0], PITCH * cell[1]))


def overlap(one: MaskCrop, other: MaskCrop) -> float:
    """Intersection over union of two crops of one image."""
    inside = int(np.count_nonzero(one.within(other.region) & other.mask)) if other.mask.size else 0
    either = one.area + other.area - inside
    return inside / either if either else 0.0


def speed(rounds: int) -> str:
    """The Markdown table of first masks."""
    rows = []
    for side in SIDES:
        for way in ("view", "whole"):
            if way == "whole" and side > LARGEST_IN_MEMORY:
                continue  # it does not fit into memory
            told = [fresh("any_size", side, way) for _ in range(rounds)]
            middle = {name: median(own[name] for own in told) for name in told[0]}
            over = median(own["first"] - own["encode"] for own in told)
            say(f"any_size: {side} {way} {middle}")
            read = (
                f"{middle['pixels'] / 1e6:.2f} in {middle['reads']:.0f}" if middle["pixels"] else "in memory"
            )
            rows.append(
                [
                    f"{side:,} x {side:,}, {way}",
                    f"{1000 * middle['open']:.1f}",
                    f"{middle['first']:.2f}",
                    f"{over:.2f}",
                    f"{middle['all']:.2f}",
                    read,
                    f"{middle['megabytes']:.0f}",
                    f"{middle['iou']:.3f}",
                ]
            )
    head = (
        "uint8 discs of 120 pixels",
        "open, ms",
        "first mask, s",
        "beyond one encode, s",
        "five clicks, s",
        "Mpx read",
        "MB more",
        "IoU",
    )
    return table(head, rows)


def cache() -> str:
    """The Markdown table of the cache on disk."""
    predictor = Predictor(load_model("tiny", device="cpu"))
    image = Discs(2000, 1)[:, :]
    rows = []
    for rounding in ("float32", "float16"):
        with tempfile.TemporaryDirectory() as folder:
            view = predictor.on_image(image, cache=folder, rounding=rounding)
            windows = list(view.grid())[:12]
            made = _median_seconds(view, windows)
            again = predictor.on_image(image, cache=folder, rounding=rounding)
            again.request(windows[0])
            found = _median_seconds(again, windows)
            files = list(Path(folder).rglob("*.safetensors"))
            size = sum(path.stat().st_size for path in files) / len(files)
        ious = _rounding_iou(predictor, image) if rounding == "float16" else 1.0
        rows.append(
            [rounding, f"{size / 1e6:.2f}", f"{1000 * made:.0f}", f"{1000 * found:.0f}", f"{ious:.5f}"]
        )
    head = ("cache, one region", "MB", "made and kept, ms", "found, ms", "IoU with float32")
    return table(head, rows)


def _median_seconds(view: ImageView, windows: list[tuple[int, int, int, int]]) -> float:
    seconds = []
    for window in windows:
        started = clock()
        view.encode(window)
        seconds.append(clock() - started)
    return median(seconds)


def _rounding_iou(predictor: Predictor, image: NDArray[Any]) -> float:
    prompts = [Prompts([(125 + 250 * i, 130 + 250 * j)], [1]) for i in range(4) for j in range(4)]
    exact, rounded = (
        predictor.on_image(image, rounding=own).answer_each(prompts) for own in ("float32", "float16")
    )
    return float(
        np.mean([overlap(a.crop(a.best()), b.crop(a.best())) for a, b in zip(exact, rounded, strict=True)])
    )


def borders() -> str:
    """The Markdown table of objects on borders of the grid and elsewhere, the same objects in both."""
    predictor = Predictor(load_model("tiny", device="cpu"))
    rows, everything = [], []
    for number, kind in enumerate(SCENES):
        scene = draw_scene(
            np.random.default_rng([HELD_OUT_SEED, 900 + number]), (SCENE_SIDE, SCENE_SIDE), kind
        )
        labels = scene.levels[1].astype(np.int64)
        pairs = _on_and_off(predictor, scene.image, labels)
        everything.extend(pairs)
        rows.append(_row(kind, pairs))
        say(f"any_size: borders {rows[-1]}")
    rows.append(_row("all", everything))
    return table(("objects on borders, click", "objects", "on a border", "elsewhere", "difference"), rows)


def _row(name: str, pairs: list[tuple[float, float]]) -> list[str]:
    on, off = (float(np.mean([pair[i] for pair in pairs])) for i in (0, 1))
    return [name, str(len(pairs)), f"{on:.3f}", f"{off:.3f}", f"{on - off:+.3f}"]


def _on_and_off(
    predictor: Predictor, image: NDArray[Any], labels: NDArray[np.int64]
) -> list[tuple[float, float]]:
    """Each object's mean IoU where a border crosses it and where none does, as the image is cut off."""
    found = targets(labels, smallest=40)
    # the longest offset must not cut an object
    found = [one for one in found if min(one.box_yx[:2]) > max(OFFSETS)]
    crops = [MaskCrop.from_mask(one.mask) for one in found]
    on: list[list[float]] = [[] for _ in found]
    off: list[list[float]] = [[] for _ in found]
    for offset in OFFSETS:
        view = predictor.on_image(np.ascontiguousarray(image[offset:, offset:]))
        step = view.grid().extent // 2
        prompts = [Prompts([np.subtract(one.centre_yx, offset)], [1]) for one in found]
        for i, answer in enumerate(view.answer_each(prompts)):
            crop = answer.crop(answer.best())
            moved = MaskCrop((crop.origin_yx[0] + offset, crop.origin_yx[1] + offset), crop.mask)
            y0, x0, y1, x1 = (value - offset for value in found[i].box_yx)
            crossed = y0 // step != y1 // step or x0 // step != x1 // step
            (on if crossed else off)[i].append(overlap(moved, crops[i]))
    return [(float(np.mean(a)), float(np.mean(b))) for a, b in zip(on, off, strict=True) if a and b]


def accuracy(folder: Path | None) -> str:
    """The Markdown table of real images, encoded whole and in regions of native detail."""
    predictor = Predictor(load_model("tiny", device="cpu"))
    tests = [coins(), *(from_folder(folder) if folder is not None else [])]
    rows = []
    for test in tests:
        found = targets(test.labels)
        frame = predictor.embed(test.image).frame
        size = median(float(one.mask.sum()) ** 0.5 for one in found)
        numbers = [
            score
            for prompt in ("click", "box")
            for score in _whole_and_native(predictor, test, found, prompt)
        ]
        rows.append(
            [
                f"{test.name}, {test.image.shape[0]} x {test.image.shape[1]}",
                str(len(found)),
                f"{size:.0f}",
                f"{size / frame.downsampling:.0f}",
                *(f"{number:.3f}" for number in numbers),
            ]
        )
        say(f"any_size: accuracy {rows[-1]}")
    head = (
        "real images, mean IoU",
        "objects",
        "pixels across",
        "in the whole image's encoding",
        "click, whole",
        "click, native",
        "box, whole",
        "box, native",
    )
    return table(head, rows)


def _whole_and_native(
    predictor: Predictor, test: TestImage, found: list[Target], prompt: str
) -> tuple[float, float]:
    view = predictor.on_image(test.image)
    prompts = [getattr(one, prompt) for one in found]
    scores = []
    for detail in ("whole", "auto"):
        answers = view.answer_each(prompts, detail)
        scores.append(
            float(
                np.mean(
                    [
                        overlap(answer.crop(answer.best()), MaskCrop.from_mask(one.mask))
                        for answer, one in zip(answers, found, strict=True)
                    ]
                )
            )
        )
    return scores[0], scores[1]


if __name__ == "__main__":
    main()
