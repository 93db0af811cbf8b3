"""Training of the dense head: the encoder is frozen, its tokens are computed once for several steps.

Scenes are drawn when needed, and none is used in two rounds. Other processes may draw them ahead.
"""

from __future__ import annotations

import csv
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.images.prepare import normalised
from napari_samv1.model import Sam
from napari_samv1.model.dense_head import RADIUS, DenseHead, DenseHeadConfig
from napari_samv1.records.preparation import Preparation
from napari_samv1.training.crops import Crop, cut
from napari_samv1.training.optimizer import Optimizer
from napari_samv1.training.recipe import Grids
from napari_samv1.training.scenes.kinds import DENSE_SHARES, draw_scene
from napari_samv1.training.scenes.scene import OBJECT
from napari_samv1.training.state import load_state, save_state

HEAT = 0.3
"""Standard deviation of the peak at an object's centre, in radii."""
SMALLEST = 6
"""Least size of an object, in pixels of the maps."""
DENSE_GRIDS: Grids = (*(((32, 32),) * 7), (24, 24), (40, 40), (40, 40), (28, 44), (56, 56))
STEM_WIDTH = 24
FIGURES = ("round", "seconds", "rate", "loss", "inside", "rim", "centre", "offset", "radius")


@dataclass(frozen=True)
class DenseRecipe:
    """Everything that a head depends on besides the code and the frozen weights.

    In a round ``scenes`` scenes of ``side`` pixels are drawn and cut into a batch of about ``tokens`` image
    tokens on each of ``grids``; the head sees every batch ``repeats`` times. The rate is constant until the
    last share ``cooling`` of the rounds, in which it falls nearly to zero: before them a run can be made
    longer.
    """

    seed: int = 0
    rounds: int = 50
    cooling: float = 0.25
    scenes: int = 40
    side: int = 480
    grids: Grids = DENSE_GRIDS
    tokens: int = 8 * 1024
    zoom: tuple[float, float] = (0.55, 2.2)
    repeats: int = 4
    rate: float = 1e-3
    decay: float = 0.02
    averaging: float = 0.99

    @property
    def steps(self) -> int:
        return self.rounds * self.repeats * len(self.grids)

    def learning_rate(self, step: int) -> float:
        """Learning rate: it rises over 60 steps, and falls linearly to a fiftieth in the last rounds."""
        left = (self.steps - step) / max(self.cooling * self.steps, self.repeats * len(self.grids))
        return self.rate * min(1.0, (step + 1) / 60) * max(0.02, min(1.0, left))


@dataclass(frozen=True, eq=False)
class DrawnBatch:
    """Pixels B 3 H W, targets B 6 4h 4w and weights B 4h 4w, all in half precision."""

    pixels: NDArray[np.float16]
    wanted: NDArray[np.float16]
    weights: NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class Batch:
    """Image tokens B C h w and the numbers of a `DrawnBatch`, all on the device in half precision."""

    tokens_bchw: Tensor
    pixels_bchw: Tensor
    wanted: Tensor
    weights: Tensor


def seed_targets(objects: NDArray[np.uint16], stride: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Labels (H, W) -> maps (6, H/stride, W/stride) as `DenseHead` gives them, and weights of the pixels.

    Offsets and radius are 0 outside objects. Small objects weigh more: their pixels are few.
    """
    labels = objects[::stride, ::stride]
    area = np.bincount(labels.ravel())
    labels = np.where(area[labels] < SMALLEST, 0, labels)
    inside = labels > 0
    rim = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        step = np.diff(labels.astype(np.int32), axis=axis) != 0
        rim |= np.pad(step, [(0, int(i == axis)) for i in (0, 1)])
        rim |= np.pad(step, [(int(i == axis), 0) for i in (0, 1)])
    area = np.maximum(np.bincount(labels.ravel()), 1)
    radius = np.sqrt(area / np.pi)
    grid_yx = np.indices(labels.shape, np.float32)
    offsets = np.stack(
        [
            ((np.bincount(labels.ravel(), along.ravel()) / area)[labels] - along) / radius[labels]
            for along in grid_yx
        ]
    )
    offsets = np.clip(offsets, -3, 3)
    centre = np.exp(-(offsets**2).sum(0) / (2 * HEAT**2))
    log_radius = np.log(radius * stride / RADIUS)[labels]
    maps = np.stack([inside, rim, centre * inside, *(offsets * inside), log_radius * inside])
    weights = np.where(inside, np.clip(RADIUS / (radius * stride), 0.5, 4)[labels], 1.0)
    return maps.astype(np.float32), weights.astype(np.float32)


def draw_round(recipe: DenseRecipe, patch: int, preparation: Preparation, number: int) -> list[DrawnBatch]:
    """Batches of a round, a pure function of its arguments; ``patch`` is the side of a token in pixels."""
    rng = np.random.default_rng([recipe.seed, number])
    hw = (recipe.side, recipe.side)
    scenes = [draw_scene(rng, hw, shares=DENSE_SHARES) for _ in range(recipe.scenes)]
    batches = []
    for grid in recipe.grids:
        size = (grid[0] * patch, grid[1] * patch)
        crops: list[Crop] = []
        while len(crops) < max(1, round(recipe.tokens / (grid[0] * grid[1]))):
            scene = scenes[int(rng.integers(len(scenes)))]
            crop = cut(rng, scene.image, scene.levels, size, recipe.zoom)
            # a few crops without any object teach the background
            if crop.levels[OBJECT].any() or rng.random() < 0.2:
                crops.append(crop)
        targets = [seed_targets(crop.levels[OBJECT], patch // 4) for crop in crops]
        batches.append(
            DrawnBatch(
                torch.stack([normalised(crop.image, preparation) for crop in crops]).half().numpy(),
                np.stack([maps for maps, _ in targets]).astype(np.float16),
                np.stack([weights for _, weights in targets]).astype(np.float16),
            )
        )
    return batches


def _single_threaded() -> None:
    torch.set_num_threads(1)


def seed_loss(maps: Tensor, wanted: Tensor, weights: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Maps B 6 H W against `seed_targets`: cross-entropies, and distances inside objects."""
    entropy = functional.binary_cross_entropy_with_logits(maps[:, :3], wanted[:, :3], reduction="none")
    total = weights.sum()
    inside, rim, centre = ((entropy[:, i] * weights).sum() / total for i in range(3))
    within = wanted[:, 0] * weights
    apart = functional.smooth_l1_loss(maps[:, 3:], wanted[:, 3:], reduction="none", beta=0.2)
    offset, radius = (
        (part.sum(1) * within).sum() / within.sum().clamp(min=20) for part in (apart[:, :2], apart[:, 2:])
    )
    loss = inside + rim + 2 * centre + offset + radius
    parts = {"loss": loss, "inside": inside, "rim": rim, "centre": centre, "offset": offset, "radius": radius}
    return loss, {name: part.detach() for name, part in parts.items()}


def new_head(config: DenseHeadConfig, seed: int) -> DenseHead:
    """A head with random weights that depend on the seed alone; its residual parts start near zero."""
    head = DenseHead(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if parameter.ndim > 1:
                quiet = any(part in name for part in ("mix", "maps", "shrink"))
                spread = (2 / parameter[0].numel()) ** 0.5 * (0.1 if quiet else 1)
                parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
            elif name.endswith("bias"):
                parameter.zero_()
        assert head.maps.bias is not None
        head.maps.bias.view(-1, 4)[1:3] = -2.0  # rims and centres are rare
    return head


def _is_inner(name: str, parameter: nn.Parameter) -> bool:
    """Return True if Muon updates a parameter: every kernel but those of the last layer."""
    return parameter.ndim > 1 and not name.startswith(("maps", "stem.look"))


def grown(head: DenseHead, seed: int) -> DenseHead:
    """Head with another head's weights, and with a stem, which is new where that one has none."""
    larger = new_head(replace(head.config, stem_width=head.config.stem_width or STEM_WIDTH), seed)
    larger.load_state_dict(head.state_dict(), strict=False)
    return larger


class DenseRun:
    """A run of a recipe in a folder; it continues after the last finished round.

    A round depends on the seed and its number alone, so that an interrupted run ends in the same weights as
    an uninterrupted one.

    Parameters
    ----------
    folder : Path
        Folder of the state and the curves.
    network : Sam
        Network whose tokens the head reads; not changed.
    origin : str
        Name of the network's weights; a state of a run on others is refused.
    head : DenseHead, optional
        Weights to start from instead of random ones.
    workers : int
        Processes that draw rounds ahead; with 0, this process draws. The rounds are the same.
    """

    def __init__(
        self,
        folder: Path,
        recipe: DenseRecipe,
        network: Sam,
        preparation: Preparation,
        *,
        origin: str,
        head: DenseHead | None = None,
        workers: int = 0,
    ) -> None:
        self.workers = workers
        self.folder, self.recipe, self.network, self.preparation = folder, recipe, network, preparation
        self.origin = origin
        if head is None:
            head = new_head(DenseHeadConfig(channels=network.config.channels), recipe.seed)
        self.head = grown(head, recipe.seed).requires_grad_(True)
        self.head.to(next(network.parameters()).device).train()
        self.optimizer = Optimizer(self.head.named_parameters(), recipe.rate, recipe.decay, _is_inner)
        self.averages = {name: p.detach().clone() for name, p in self.head.named_parameters()}
        self.round, self.step, self.seconds = 0, 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    @property
    def state_path(self) -> Path:
        return self.folder / "dense-state.pt"

    def averaged(self) -> DenseHead:
        """Head with the running averages of the weights, for evaluation and release."""
        head = DenseHead(self.head.config)
        head.load_state_dict({name: tensor.cpu() for name, tensor in self.averages.items()})
        return head.eval().requires_grad_(False)

    def train(
        self,
        on_round: Callable[[DenseRun, dict[str, float]], None] | None = None,
        until: int | None = None,
    ) -> None:
        """Train the remaining rounds, or those up to ``until``, and save after each."""
        last = self.recipe.rounds if until is None else min(until, self.recipe.rounds)
        started = time.monotonic()
        for drawn in self._drawn(last):
            figures = self._learn([self._encoded(batch) for batch in drawn])
            self.round += 1
            self.seconds, started = self.seconds + time.monotonic() - started, time.monotonic()
            self._note(figures)
            self._save()
            if on_round is not None:
                on_round(self, figures)

    def _drawn(self, last: int) -> Iterator[list[DrawnBatch]]:
        """Batches of the remaining rounds up to ``last``, in order."""
        common = (self.recipe, self.network.config.patch, self.preparation)
        numbers = range(self.round, last)
        if not self.workers:
            yield from (draw_round(*common, number) for number in numbers)
            return
        with ProcessPoolExecutor(self.workers, get_context("spawn"), _single_threaded) as processes:
            ahead = deque(processes.submit(draw_round, *common, number) for number in numbers[: self.workers])
            try:
                for number in numbers:
                    drawn = ahead.popleft().result()
                    if number + self.workers < last:
                        ahead.append(processes.submit(draw_round, *common, number + self.workers))
                    yield drawn
            finally:
                processes.shutdown(cancel_futures=True)

    @torch.no_grad()
    def _encoded(self, drawn: DrawnBatch) -> Batch:
        device = next(self.network.parameters()).device
        pixels, wanted, weights = (
            torch.from_numpy(one).to(device) for one in (drawn.pixels, drawn.wanted, drawn.weights)
        )
        return Batch(self.network.encode(pixels.float()).half(), pixels, wanted, weights)

    def _learn(self, batches: list[Batch]) -> dict[str, float]:
        rng = np.random.default_rng([self.recipe.seed, self.round, 1])
        sums: dict[str, Tensor] = {}
        for _ in range(self.recipe.repeats):
            for place in rng.permutation(len(batches)):
                batch = batches[place]
                rate = self.recipe.learning_rate(self.step)
                maps = self.head(batch.tokens_bchw, batch.pixels_bchw)
                loss, figures = seed_loss(maps, batch.wanted.float(), batch.weights.float())
                self.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.head.parameters(), 1.0)
                self.optimizer.step(rate)
                self.step += 1
                keep = min(self.recipe.averaging, (1 + self.step) / (10 + self.step))
                with torch.no_grad():
                    for name, parameter in self.head.named_parameters():
                        self.averages[name].lerp_(parameter, 1 - keep)
                sums = {name: sums[name] + part if sums else part for name, part in figures.items()}
        count = self.recipe.repeats * len(batches)
        return {"rate": rate, **{name: float(total) / count for name, total in sums.items()}}

    def _note(self, figures: dict[str, float]) -> None:
        path = self.folder / "dense-curves.csv"
        row = {"round": self.round, "seconds": round(self.seconds, 1), **figures}
        with path.open("w" if self.round == 1 else "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIGURES)
            if self.round == 1:
                writer.writeheader()
            writer.writerow({name: f"{row[name]:.6g}" for name in FIGURES})

    def _save(self) -> None:
        state: dict[str, Any] = {
            "recipe": asdict(self.recipe),
            "origin": self.origin,
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averages": self.averages,
            "round": self.round,
            "step": self.step,
            "seconds": self.seconds,
        }
        save_state(self.state_path, state)

    def _resume(self) -> None:
        state = load_state(self.state_path, self.recipe, self.origin, may_differ=("rounds",))
        if state is None:
            return
        saved, asked = state["recipe"]["rounds"], self.recipe.rounds
        if saved != asked and state["round"] > min(saved, asked) * (1 - self.recipe.cooling):
            raise ValueError(
                f"{self.state_path} is of a run of {saved} rounds whose rate has begun to fall, not of "
                f"{asked}; give the same number or another --work folder"
            )
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.averages = {name: t.to(self.averages[name].device) for name, t in state["averages"].items()}
        self.round, self.step, self.seconds = state["round"], state["step"], state["seconds"]
