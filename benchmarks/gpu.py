"""What a GPU makes of it: encoding, decoding, preparing, memory and equality, in under four minutes."""

from __future__ import annotations

import argparse
import copy
import gc
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import TypeVar

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
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.engine.candidate import crops_and_stabilities
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.frugal import encode_frugally
from napari_samv1.engine.predictor import Predictor
from napari_samv1.engine.staged import staged_encoder
from napari_samv1.images.prepare import prepare
from napari_samv1.model import Sam, SamConfig
from napari_samv1.model.capture import can_record
from napari_samv1.model.memory import release
from napari_samv1.records.frame import Frame
from napari_samv1.records.prompts import Prompts
from napari_samv1.training.scenes.kinds import draw_scene

Made = TypeVar("Made")

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

TOKENS = {torch.float32: 1e-4, torch.bfloat16: 1e-2}
"""Largest difference of tokens from those in float32 on the CPU, relative to their range."""

MASKS = {"float32": 0.999, "bfloat16": 0.99, "float16": 0.99}
"""Least mean IoU of masks with those in float32."""

CROPS = 1e-4
"""Largest share of a crop's pixels that may lie on the other side of the threshold."""

H200 = {
    "vit_b, ours, bfloat16": 9,
    "vit_l, ours, bfloat16": 22,
    "vit_h, ours, bfloat16": 38,
    "vit_b, ours, bfloat16, compiled": 4.6,
    "vit_h, ours, bfloat16, compiled": 21,
    "1, float16, best mask, to a crop": 3,
    "1024, float16, best tenth, to crops": 100,
}
"""Milliseconds that are aimed at on an H200."""


@dataclass(frozen=True)
class Work:
    """How much is measured, and where."""

    device: torch.device
    networks: dict[str, SamConfig]
    side: int
    points: tuple[int, ...]
    image_side: int
    clicks: int
    scenes: int
    repeats: int

    @property
    def with_published(self) -> bool:
        """Whether the published code is there, and has these networks."""
        return self.networks is SIZES and find_spec("segment_anything") is not None


class Run:
    """Measures in time, and remembers what was left out, what went wrong and what it was warned of."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.left_out: list[str] = []
        self.wrong: list[str] = []
        self.warned: list[str] = []
        self.milliseconds: dict[str, float] = {}
        self.megabytes: dict[str, float] = {}

    def of(
        self, case: str, work: Callable[[], Made], device: torch.device, *, takes: float = 0
    ) -> Made | None:
        """Do a case, if there is time for one that takes so many seconds; None where nothing came of it."""
        if time.monotonic() + takes >= self._end:
            self.left_out.append(case)
            return None
        say(f"gpu: {case}")
        made = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                made = work()
            # whatever a driver or a compiler says, the other cases are measured
            except Exception as error:
                reason = (str(error).strip().splitlines() or [""])[0]
                self.wrong.append(f"{case}: {type(error).__name__}: {reason}")
        for one in caught:
            if issubclass(one.category, UserWarning):
                self.warned.append(f"{case}: {one.message}")
        # what a failed case held is let go of only here, behind the exception
        release(device)
        return made

    def check(self, said: str, holds: bool) -> None:
        """Remember a sentence on what does not hold."""
        if not holds:
            say(f"gpu: NOT EQUAL: {said}")
            self.wrong.append(said)


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
    run = Run(SECONDS)
    print(compare(small(device) if chosen.small else whole(device), run))
    return 1 if run.wrong else 0


def whole(device: torch.device) -> Work:
    """All of it."""
    return Work(
        device, SIZES, side=1024, points=(1, 64, 1024), image_side=2048, clicks=12, scenes=6, repeats=10
    )


def small(device: torch.device) -> Work:
    """The same cases, each as small as it can be."""
    return Work(device, TOY, side=64, points=(1, 3), image_side=600, clicks=2, scenes=1, repeats=1)


def compare(work: Work, run: Run) -> str:
    """The Markdown section; ``run.wrong`` says what must not be."""
    # what has to be equal first; the large encoders last: where time is short, it is theirs
    equal = [equality(work, run), half_decoder(work, run), pixels_equal(work, run)]
    run.check("equality was not looked at, for want of time", not run.left_out)
    decoded, prepared = decoding(work, run), preparing(work, run)
    parts = [device_in_words(work.device), encoding(work, run), decoded, prepared, *equal]
    parts += [beside_published(work, run)] if work.with_published else []
    parts += [targets(run)] if "H200" in device_in_words(work.device) else []
    for title, lines in (
        ("Left out for want of time", run.left_out),
        ("Warned", run.warned),
        ("WRONG", run.wrong),
    ):
        if lines:
            parts.append(f"{title}: {'; '.join(lines)}.")
    return "\n\n".join(parts)


def encoding(work: Work, run: Run) -> str:
    """Every network, in every way there is to encode with it, compared with float32 on the CPU."""
    rows: list[Sequence[object]] = []
    pixels = torch.randn(1, 3, work.side, work.side, generator=torch.Generator().manual_seed(0))
    for size, config in work.networks.items():
        made = run.of(f"{size} on the CPU, to compare with", partial(on_cpu, config, pixels), work.device)
        if made is None:
            continue
        network, expected = made
        names = [name for name in OURS if work.device.type == "cuda" or "compiled" not in name]
        names += PUBLISHED if work.with_published else ()
        for name in names:
            case = f"{size}, {name}"
            takes = COMPILING if "compiled" in name else 0
            encode = partial(encoded, case, network, name, pixels, expected, work, run)
            row = run.of(case, encode, work.device, takes=takes)
            if row is not None:
                rows.append((case, *row))
    run.check("no encoding was compared", bool(rows))
    head = ("encode", "ms", "s for the first two", "MB beyond the weights", "difference")
    return table(head, rows)


@torch.inference_mode()
def on_cpu(config: SamConfig, pixels: Tensor) -> tuple[Sam, Tensor]:
    """A network of random weights, and its tokens."""
    network = random_network(config)
    return network, network.encode(pixels)


def encoded(
    case: str, network: Sam, name: str, pixels: Tensor, expected: Tensor, work: Work, run: Run
) -> tuple[str, str, str, str]:
    """Milliseconds, seconds of the beginning, memory and difference."""
    own, encode = encoder(network, name, work.device)
    there = pixels.to(work.device)
    # the second of a size is recorded, and the recording's memory counts
    begun = [0.0]
    megabytes = peak(lambda: begun.append(sum(seconds(lambda: encode(there), work, 2))), work.device)
    run.megabytes[case] = float(megabytes or "nan")
    milliseconds = run.milliseconds[case] = 1000 * median(seconds(lambda: encode(there), work, work.repeats))
    # another image in between: a recording has to read what lies there now
    encode(there.flip(-1))
    tokens, again = encode(there), encode(there)
    error = difference(tokens.float().cpu(), expected)
    if name in OURS:
        run.check(f"{case}: tokens differ by {error:.1e} of their range", bool(error <= TOKENS[OURS[name]]))
        run.check(f"{case}: the same image has other tokens", torch.equal(tokens, again))
    if own is not None and can_record(work.device):
        recorded = staged_encoder(own, compiled="compiled" in name).recorded
        run.check(f"{case}: it was not recorded", recorded == 1)
    return f"{milliseconds:.2f}", f"{begun[-1]:.1f}", megabytes, f"{error:.1e}"


def encoder(network: Sam, name: str, device: torch.device) -> tuple[Sam | None, Callable[[Tensor], Tensor]]:
    """A way to encode, with its own copy of the weights, and the network that may be recorded."""
    if name in PUBLISHED:
        published = Published(network)
        published.model.to(device)
        return None, partial(_published, published, PUBLISHED[name])
    own = Ours(copy.deepcopy(network), OURS[name]).network.to(device)
    if "kernel by kernel" in name:
        return None, torch.inference_mode()(own.encode)
    return own, partial(encode_frugally, own, compiled="compiled" in name)


def _published(published: Published, rounds: bool, pixels: Tensor) -> Tensor:
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=rounds):
        return published.encode(pixels)


def decoding(work: Work, run: Run) -> str:
    """Points on random tokens, in either precision: maps that stay, maps that cross, and crops."""
    network = random_network(next(iter(work.networks.values())))
    published = None
    if work.with_published:
        published = run.of("the published decoder", partial(Published, network), work.device)
    exact = Ours(network.to(work.device))
    halved = copy.copy(exact)
    halved.predictor = Predictor(exact.predictor.model.decoding_in("float16"))
    grid = work.side // network.config.patch
    tokens = torch.randn(1, network.config.channels, grid, grid).to(work.device)
    image, rows = exact.image(tokens), list[Sequence[object]]()
    for points in work.points:
        prompts = asked(points, points=1, side=work.side)
        cases: dict[str, Callable[[], object]] = {}
        for precision, ours in (("float32", exact), ("float16", halved)):
            own: dict[str, Callable[[], object]] = {
                "maps stay": partial(ours.predict, image, prompts),
                "maps on the CPU": partial(ours.decode, image, prompts),
                "best mask, to a crop": partial(crops, ours.predictor, image, prompts, best),
                "best tenth, to crops": partial(crops, ours.predictor, image, prompts, best_tenth),
            }
            cases |= {f"{precision}, {name}": case for name, case in own.items()}
        if published is not None:
            published.model.to(work.device)
            cases["published, maps on the CPU"] = partial(in_batches, published, tokens, prompts)
        for name, case in cases.items():
            row = run.of(f"{points}, {name}", partial(decoded, case, work), work.device)
            if row is not None:
                run.milliseconds[f"{points}, {name}"] = row[0]
                rows.append((f"{points}, {name}", f"{row[0]:.1f}", row[1]))
    run.check("random weights overflow in float16", halved.predictor.model.decoder == "float16")
    return table(("points decoded", "ms", "MB beyond weights and image"), rows)


def decoded(case: Callable[[], object], work: Work) -> tuple[float, str]:
    """Milliseconds and memory."""
    megabytes = peak(case, work.device)
    return 1000 * median(seconds(case, work, max(1, work.repeats // 2))), megabytes


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


def preparing(work: Work, run: Run) -> str:
    """The bundled model on a small photograph and on a large image, and how long pixels take before it."""
    predictor = Predictor(load_model("tiny", device=str(work.device)))
    side, (large, frame) = work.image_side, large_image(predictor.model, work.image_side)
    preparation = predictor.model.preparation
    cases: dict[str, Callable[[], object]] = {
        "embed 303 x 384": partial(predictor.embed, data.coins()),
        f"embed {side} x {side} RGB": partial(predictor.embed, large),
        "its pixels alone": partial(prepare, large, frame, preparation, device=work.device),
        "its pixels alone, by Pillow": partial(prepare, large, frame, preparation),
    }

    def timed(case: Callable[[], object]) -> float:
        # resized by Pillow first, and recorded in the second
        seconds(case, work, 3)
        return 1000 * median(seconds(case, work, work.repeats))

    rows: list[Sequence[object]] = []
    for name, case in cases.items():
        milliseconds = run.of(name, partial(timed, case), work.device)
        if milliseconds is not None:
            rows.append((name, f"{milliseconds:.1f}"))

    return table(("bundled model", "ms"), rows)


def large_image(model: LoadedModel, side: int) -> tuple[NDArray[np.uint8], Frame]:
    """A colour image, and how a model sees it."""
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    preparation = model.preparation
    patch, sizing = model.config.patch, preparation.sizing
    return image, Frame.plan((side, side), side=preparation.side, patch=patch, sizing=sizing)


def pixels_equal(work: Work, run: Run) -> str:
    """Pixels that the device resizes, and those that Pillow does."""
    model = load_model("tiny", device="cpu")
    large, frame = large_image(model, work.image_side)

    def compared() -> bool:
        # the first of a size is Pillow's
        first, second = (prepare(large, frame, model.preparation, device=work.device) for _ in range(2))
        return torch.equal(first, second)

    same = run.of("pixels by Pillow and by the device", compared, work.device)
    run.check("pixels by Pillow and by the device are not the same", same is True)
    return f"Pixels by Pillow and by the device: {'the same' if same else 'NOT the same'}."


def equality(work: Work, run: Run) -> str:
    """The bundled model's masks of clicks on coins, compared with those of the CPU in float32."""
    image = data.coins()
    exact = load_model("tiny", device="cpu", dtype="float32")
    made = run.of(
        "masks on the CPU, to compare with",
        lambda: (predictions(exact, image, work.clicks), Predictor(exact).embed(image).tokens_bchw),
        work.device,
    )
    if made is None:
        return ""
    expected, tokens = made

    def compared(dtype: torch.dtype) -> tuple[str, ...]:
        name = str(dtype).removeprefix("torch.")
        model = load_model("tiny", device=str(work.device), dtype=name)  # type: ignore[arg-type]
        predictor = Predictor(model)
        ious = mask_ious(expected, predictions(model, image, work.clicks))
        # three times: kernel by kernel, as it is recorded, and replayed
        found = [predictor.embed(image).tokens_bchw.float().cpu() for _ in range(3)]
        error = max(difference(one, tokens) for one in found)
        mean, least = mean_and_least(ious)
        apart = crops_apart(predictor, image, work.clicks)
        run.check(f"bundled, {name}: tokens differ by {error:.1e} of their range", error <= TOKENS[dtype])
        run.check(f"bundled, {name}: the mean mask IoU is {mean:.4f}", mean >= MASKS[name])
        run.check(f"bundled, {name}: {apart:.1e} of the crops' pixels differ", apart <= CROPS)
        run.check(f"bundled, {name}: replays differ", torch.equal(found[1], found[2]))
        if can_record(work.device):
            recorded = staged_encoder(model.network).recorded
            run.check(f"bundled, {name}: it was not recorded", recorded == 1)
        return name, f"{error:.1e}", f"{mean:.4f}", f"{least:.4f}", f"{apart:.1e}"

    rows = []
    for dtype in TOKENS:
        row = run.of(f"equality of masks, {dtype}", partial(compared, dtype), work.device)
        if row is not None:
            rows.append(row)
    head = (
        "bundled model, to float32 on the CPU",
        "tokens' difference",
        "mean mask IoU",
        "least mask IoU",
        "crops' pixels apart",
    )
    return table(head, rows)


def crops_apart(predictor: Predictor, image: NDArray[np.uint8], side: int) -> float:
    """The share of the crops' pixels that differ from those that the CPU cuts out of the same logits."""
    embedding, prompts = predictor.embed(image), grid(image, side)
    batches = predictor.stream(embedding, prompts, lambda _, iou: np.ones(iou.shape, dtype=bool))
    candidates = [one for _, some in batches for one in some]
    there = crops_and_stabilities(candidates)
    here = crops_and_stabilities([replace(one, drawn_hw=one.logits) for one in candidates])
    hw = image.shape[:2]
    differing = sum(
        np.count_nonzero(one.to_mask(hw) ^ other.to_mask(hw))
        for (one, _), (other, _) in zip(there, here, strict=True)
    )
    return float(differing / max(1, sum(crop.area for crop, _ in here)))


def half_decoder(work: Work, run: Run) -> str:
    """Masks decoded in float16 beside float32, on the device: published models where they are on disk.

    The bundled decoder is one of the published size, and its encoder leaves it the harder task.
    """
    names = ["tiny", *(name for name in ("vit_b", "vit_l", "vit_h") if MODELS[name].is_on_disk)][:2]
    rows = []
    for name in names:
        row = run.of(f"decoder in float16, {name}", partial(halved, name, work, run), work.device)
        if row is not None:
            rows.append(row)
    head = ("decoder in float16, to float32", "clicks", "mean mask IoU", "5th percentile", "least")
    return table(head, rows)


def halved(name: str, work: Work, run: Run) -> tuple[str, ...]:
    """The model's name, and what becomes of its masks."""
    exact = load_model(name, device=str(work.device), dtype="float32")
    exact = exact.decoding_in("float32")
    predictor = Predictor(exact.decoding_in("float16"))
    ious = list[float]()
    for image in (data.coins(), *scenes(work.scenes)):
        prompts = grid(image, work.clicks)
        embedding = Predictor(exact).embed(image)
        right = Predictor(exact).predict_each(embedding, prompts)
        found, again = (predictor.predict_each(embedding, prompts) for _ in range(2))
        ious += mask_ious(right, found)
        run.check(f"{name}: it was not decoded in float16", {one.decoder for one in found} == {"float16"})
        run.check(
            f"{name}: the same clicks have other logits",
            all(
                np.array_equal(one.logits, other.logits)
                for one, other in zip(found, again, strict=True)
                # batches follow from free memory, and sums may round by the place in one
                if one.batch == other.batch
            ),
        )
    mean, least = mean_and_least(ious)
    run.check(f"{name}: the mean mask IoU of a decoder in float16 is {mean:.4f}", mean >= MASKS["float16"])
    return name, str(len(ious)), f"{mean:.4f}", f"{np.percentile(ious or [np.nan], 5):.4f}", f"{least:.4f}"


def mean_and_least(ious: Sequence[float]) -> tuple[float, float]:
    """NaN where there are none: that holds no limit."""
    return (float(np.mean(ious)), min(ious)) if ious else (float("nan"), float("nan"))


def scenes(count: int) -> list[NDArray[np.uint8]]:
    """Images that the bundled model's recipe draws, which it has not seen."""
    return [draw_scene(np.random.default_rng([2026, index]), (384, 384)).image for index in range(count)]


def grid(image: NDArray[np.uint8], side: int) -> list[Prompts]:
    """A click in every cell of a regular grid."""
    height, width = image.shape[:2]
    steps = (np.arange(side) + 0.5) / side
    return [Prompts(points_yx=[(y * height, x * width)], labels=[1]) for y in steps for x in steps]


def beside_published(work: Work, run: Run) -> str:
    """Our encodings in bfloat16 and the published code's; aimed at: 2.3, 1.4, 1.25 times, 4 times, 0.25."""
    rows = []
    for size in work.networks:
        ours, exact, rounded = (
            f"{size}, {name}"
            for name in ("ours, bfloat16", "published, float32", "published, bfloat16 autocast")
        )
        if all(case in run.milliseconds for case in (ours, exact, rounded)):
            own = run.milliseconds[ours]
            rows.append(
                (
                    size,
                    f"{run.milliseconds[rounded] / own:.2f}",
                    f"{run.milliseconds[exact] / own:.2f}",
                    f"{run.megabytes[ours] / run.megabytes[rounded]:.2f}",
                )
            )
    head = ("ours, bfloat16", "times the published, bfloat16", "times its float32", "share of its memory")
    return table(head, rows)


def targets(run: Run) -> str:
    """What was aimed at on an H200, and what came of it."""
    rows = [
        (case, f"{run.milliseconds[case]:.1f}", most, "yes" if run.milliseconds[case] <= most else "NO")
        for case, most in H200.items()
        if case in run.milliseconds
    ]
    return table(("aimed at", "ms", "at most", "met"), rows)


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
