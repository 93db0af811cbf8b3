"""What a GPU makes of it: encoding, decoding, preparing, memory and equality, in under four minutes."""

from __future__ import annotations

import argparse
import copy
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data
from torch import Tensor

from benchmarks.accuracy import mask_ious, predictions
from benchmarks.decode import asked
from benchmarks.implementations import SIZES, Asked, Ours, Published, difference, random_network
from benchmarks.measure import MB, say, table
from napari_samv1.checkpoints.device import choose_device
from napari_samv1.checkpoints.load import load_model
from napari_samv1.engine.candidate import crops_and_stabilities
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.frugal import encode_frugally
from napari_samv1.engine.predictor import Predictor
from napari_samv1.images.prepare import prepare
from napari_samv1.model import Sam, SamConfig
from napari_samv1.records.frame import Frame
from napari_samv1.records.prompts import Prompts

SECONDS = 210
"""No case begins that would not be over by then: the whole stays under four minutes."""

COMPILING = 60
"""Seconds that compiling an encoder may take."""

TOY = {"toy": SamConfig(width=16, depth=4, heads=2, grid=4, window=3)}

OURS = {
    "ours, float32": torch.float32,
    "ours, bfloat16": torch.bfloat16,
    "ours, bfloat16, kernel by kernel": torch.bfloat16,
    "ours, bfloat16, compiled": torch.bfloat16,
}
PUBLISHED = {"published, float32": False, "published, bfloat16 autocast": True}
"""Whether autocast rounds."""


@dataclass(frozen=True)
class Work:
    """How much is measured, and where."""

    device: torch.device
    networks: dict[str, SamConfig]
    side: int
    points: tuple[int, ...]
    image_side: int
    clicks: int
    repeats: int

    @property
    def with_published(self) -> bool:
        """Whether the published code is there, and has these networks."""
        return self.networks is SIZES and find_spec("segment_anything") is not None


class Deadline:
    """Ends the measuring in time, and knows what it left out."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.left_out: list[str] = []

    def allows(self, case: str, takes: float = 0) -> bool:
        """Whether there is time for a case that takes so many seconds."""
        if time.monotonic() + takes < self._end:
            say(f"gpu: {case}")
            return True
        self.left_out.append(case)
        return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ... or mps")
    parser.add_argument(
        "--small",
        action="store_true",
        help="a toy network and few prompts, on any device: shows that all of it runs, measures nothing",
    )
    chosen = parser.parse_args()
    try:
        device = choose_device(chosen.device)
    except ValueError as error:
        say(str(error))
        return 1
    if device.type == "cpu" and not chosen.small:
        say("this benchmark is for GPUs, and tries itself out on the CPU with --small")
        return 1
    print(compare(small(device) if chosen.small else whole(device), SECONDS))
    return 0


def whole(device: torch.device) -> Work:
    """All of it."""
    return Work(device, SIZES, side=1024, points=(1, 64, 1024), image_side=2048, clicks=12, repeats=10)


def small(device: torch.device) -> Work:
    """The same cases, each as small as it can be."""
    return Work(device, TOY, side=64, points=(1, 3), image_side=600, clicks=2, repeats=1)


def compare(work: Work, seconds: float) -> str:
    """The Markdown section."""
    deadline = Deadline(seconds)
    # the large encoders last: where time is short, it is theirs
    decoded, prepared, equal = decoding(work, deadline), preparing(work, deadline), equality(work, deadline)
    parts = [device_in_words(work.device), encoding(work, deadline), decoded, prepared, equal]
    if deadline.left_out:
        parts.append(f"Left out for want of time: {'; '.join(deadline.left_out)}.")
    return "\n\n".join(parts)


def encoding(work: Work, deadline: Deadline) -> str:
    """Every network, in every way there is to encode with it, compared with float32 on the CPU."""
    rows: list[Sequence[object]] = []
    pixels = torch.randn(1, 3, work.side, work.side, generator=torch.Generator().manual_seed(0))
    for size, config in work.networks.items():
        if not deadline.allows(f"{size} on the CPU, to compare with"):
            continue
        network = random_network(config)
        with torch.inference_mode():
            expected = network.encode(pixels)
        names = [name for name in OURS if work.device.type == "cuda" or "compiled" not in name]
        names += PUBLISHED if work.with_published else ()
        for name in names:
            if deadline.allows(f"{size}, {name}", COMPILING if "compiled" in name else 0):
                encode = encoder(network, name, work.device)
                rows.append((f"{size}, {name}", *encoded(encode, pixels.to(work.device), expected, work)))
                del encode
    head = ("encode", "ms", "s for the first two", "MB beyond the weights", "difference")
    return table(head, rows)


def encoded(
    encode: Callable[[Tensor], Tensor], pixels: Tensor, expected: Tensor, work: Work
) -> tuple[str, str, str, str]:
    """Milliseconds, seconds of the beginning, memory and difference."""
    # the second of a size is recorded, and the recording's memory counts
    begun = [0.0]
    megabytes = peak(lambda: begun.append(sum(seconds(lambda: encode(pixels), work, 2))), work.device)
    milliseconds = 1000 * median(seconds(lambda: encode(pixels), work, work.repeats))
    error = difference(encode(pixels).float().cpu(), expected)
    return f"{milliseconds:.2f}", f"{begun[-1]:.1f}", megabytes, f"{error:.1e}"


def encoder(network: Sam, name: str, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A way to encode, with its own copy of the weights."""
    if name in PUBLISHED:
        published = Published(network)
        published.model.to(device)
        return partial(_published, published, PUBLISHED[name])
    own = Ours(copy.deepcopy(network), OURS[name]).network.to(device)
    if "kernel by kernel" in name:
        return torch.inference_mode()(own.encode)
    return partial(encode_frugally, own, compiled="compiled" in name)


def _published(published: Published, rounds: bool, pixels: Tensor) -> Tensor:
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=rounds):
        return published.encode(pixels)


def decoding(work: Work, deadline: Deadline) -> str:
    """Points on random tokens: maps that stay, maps that cross, and crops."""
    network = random_network(next(iter(work.networks.values())))
    published = Published(network) if work.with_published else None
    ours = Ours(network.to(work.device))
    grid = work.side // network.config.patch
    tokens = torch.randn(1, network.config.channels, grid, grid).to(work.device)
    image, rows = ours.image(tokens), list[Sequence[object]]()
    for points in work.points:
        prompts = asked(points, points=1, side=work.side)
        cases: dict[str, Callable[[], object]] = {
            "maps stay": partial(ours.predict, image, prompts),
            "maps on the CPU": partial(ours.decode, image, prompts),
            "best mask, to a crop": partial(crops, ours.predictor, image, prompts, best),
            "best tenth, to crops": partial(crops, ours.predictor, image, prompts, best_tenth),
        }
        if published is not None:
            published.model.to(work.device)
            cases["published, maps on the CPU"] = partial(in_batches, published, tokens, prompts)
        for name, case in cases.items():
            if deadline.allows(f"{points} points, {name}"):
                megabytes = peak(case, work.device)
                times = seconds(case, work, max(1, work.repeats // 2))
                rows.append((f"{points}, {name}", f"{1000 * median(times):.1f}", megabytes))
    return table(("points decoded", "ms", "MB beyond weights and image"), rows)


def crops(
    predictor: Predictor,
    image: Embedding,
    prompts: Asked,
    choose: Callable[[Sequence[Prompts], NDArray[np.float32]], NDArray[np.bool_]],
) -> int:
    """How many crops come of the masks that are chosen, as ``segment_everything`` makes them."""
    each = [
        Prompts(points_yx=points[:, ::-1], labels=labels)
        for points, labels in zip(prompts.points_xy, prompts.labels, strict=True)
    ]
    batches = predictor.stream(image, each, choose, batch=len(each))
    return sum(len(crops_and_stabilities(candidates)) for _, candidates in batches)


def best(prompts: Sequence[Prompts], iou: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The best of masks 1 to 3 of each prompt."""
    chosen = np.zeros(iou.shape, dtype=bool)
    chosen[np.arange(len(iou)), 1 + iou[:, 1:].argmax(axis=1)] = True
    return chosen


def best_tenth(prompts: Sequence[Prompts], iou: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The best masks of the tenth of the prompts that scores highest."""
    last = np.sort(iou[:, 1:].max(axis=1))[-max(1, len(iou) // 10)]
    return best(prompts, iou) & (iou >= last)


def in_batches(published: Published, tokens: Tensor, prompts: Asked, batch: int = 64) -> None:
    """The published code's way with many points."""
    for start in range(0, len(prompts.labels), batch):
        some = slice(start, start + batch)
        published.decode(tokens, Asked(prompts.points_xy[some], prompts.labels[some], None))


def preparing(work: Work, deadline: Deadline) -> str:
    """The bundled model on a small photograph and on a large image, and how long pixels take before it."""
    predictor = Predictor(load_model("tiny", device=str(work.device)))
    model, side = predictor.model, work.image_side
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    preparation = model.preparation
    frame = Frame.plan(
        (side, side), side=preparation.side, patch=model.config.patch, sizing=preparation.sizing
    )
    cases: dict[str, Callable[[], object]] = {
        "embed 303 x 384": partial(predictor.embed, data.coins()),
        f"embed {side} x {side} RGB": partial(predictor.embed, large),
        "its pixels alone": partial(prepare, large, frame, preparation, device=work.device),
        "its pixels alone, by Pillow": partial(prepare, large, frame, preparation),
    }
    rows: list[Sequence[object]] = []
    for name, case in cases.items():
        if deadline.allows(name):
            # resized by Pillow first, and recorded in the second
            seconds(case, work, 3)
            rows.append((name, f"{1000 * median(seconds(case, work, work.repeats)):.1f}"))
    there, here = (
        prepare(large, frame, preparation, device=device) for device in (work.device, torch.device("cpu"))
    )
    said = "the same" if torch.equal(there, here) else "NOT the same"
    return f"{table(('bundled model', 'ms'), rows)}\n\nPixels by Pillow and by the device: {said}."


def equality(work: Work, deadline: Deadline) -> str:
    """The bundled model's masks of clicks on coins, compared with those of the CPU in float32."""
    if not deadline.allows("equality of masks"):
        return ""
    image = data.coins()
    exact = load_model("tiny", device="cpu", dtype="float32")
    expected, tokens = predictions(exact, image, work.clicks), Predictor(exact).embed(image).tokens_bchw
    rows = []
    for dtype in ("float32", "bfloat16"):
        model = load_model("tiny", device=str(work.device), dtype=dtype)
        ious = mask_ious(expected, predictions(model, image, work.clicks))
        # three times: kernel by kernel, as it is recorded, and replayed
        found = [Predictor(model).embed(image).tokens_bchw.float().cpu() for _ in range(3)]
        error = max(difference(one, tokens) for one in found)
        rows.append((dtype, f"{error:.1e}", f"{np.mean(ious):.4f}", f"{min(ious):.4f}"))
    head = ("bundled model, to float32 on the CPU", "tokens' difference", "mean mask IoU", "least mask IoU")
    return table(head, rows)


def seconds(case: Callable[[], object], work: Work, repeats: int) -> list[float]:
    """Wall time of each repetition, the device's work included."""
    times = []
    for _ in range(repeats):
        wait(work.device)
        start = time.perf_counter()
        case()
        wait(work.device)
        times.append(time.perf_counter() - start)
    return times


def peak(case: Callable[[], object], device: torch.device) -> str:
    """MB that a case needs at its peak, beyond what is held before; nothing where only CUDA could tell."""
    gc.collect()
    if device.type != "cuda":
        case()
        return ""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    case()
    wait(device)
    return f"{(torch.cuda.max_memory_allocated(device) - before) / MB:.0f}"


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def device_in_words(device: torch.device) -> str:
    """What it was measured on."""
    if device.type != "cuda":
        return f"Device {device}."
    card = torch.cuda.get_device_properties(device)
    return f"{card.name}, {card.total_memory / 2**30:.0f} GiB; CUDA {torch.version.cuda}."


if __name__ == "__main__":
    raise SystemExit(main())
