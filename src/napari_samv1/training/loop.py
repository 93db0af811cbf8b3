"""The training run: steps, averages, curves, states."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_samv1.model import Sam
from napari_samv1.records.preparation import Preparation
from napari_samv1.training.crops import Crop, Source, draw_crops
from napari_samv1.training.first_stage_head import FirstStageHead
from napari_samv1.training.initialise import initialise
from napari_samv1.training.optimizer import Optimizer
from napari_samv1.training.recipe import Recipe
from napari_samv1.training.state import load_state, save_state
from napari_samv1.training.steps import Figures, Step
from napari_samv1.training.team import Seat

FIGURES = (
    "step",
    "seconds",
    "rate",
    "dense",
    "read_iou",
    "loss",
    "point_iou",
    "box_iou",
    "several_iou",
    "corrected_iou",
)
STATE_SECONDS = 120
KEPT = 0.3
"""Default share of the initial checkpoint in a run's result: on images unlike those trained on, weights in
between are better than either end (Wortsman et al. 2022, Robust fine-tuning of zero-shot models)."""


class Run:
    """One run of a recipe in a folder; it continues after the last saved step.

    Everything random in a step comes from the seed, the step's number and the seat, so that an interrupted
    run ends in the same weights as an uninterrupted one.

    Parameters
    ----------
    folder : Path
        Folder of the state and the curves.
    network : Sam
        Trained in place; its weights are the start where the folder holds no state yet.
    origin : str
        Name of the checkpoint whose weights the network has; if empty, the network is initialised from the
        recipe's seed. A state of a run from another origin is refused.
    kept : float
        Share of the checkpoint's weights in the result, 0 to 1; the training does not depend on it.
    commit : str
        Version of the code; the state lists all versions that made it.
    late_source : Source
        Source of a share of the later crops; by default ``source``.
    seat : Seat
        This process's place among those that make every step together. Only the first writes anything.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        network: Sam,
        preparation: Preparation,
        source: Source,
        *,
        origin: str = "",
        kept: float = KEPT,
        commit: str = "",
        half: bool = False,
        late_source: Source | None = None,
        seat: Seat | None = None,
    ) -> None:
        self.seat = Seat.alone() if seat is None else seat
        if self.seat.size != recipe.workers:
            raise ValueError(f"the recipe is for {recipe.workers} workers, got seats for {self.seat.size}")
        self.folder, self.recipe = folder, recipe
        self.source, self.late_source = source, late_source or source
        self.network = network.requires_grad_(True).train()
        self.origin, self.kept, self.commits = origin, kept, [commit]
        if not origin:
            initialise(network, recipe.seed)
        self.head = FirstStageHead(network.config, recipe.seed).to(next(network.parameters()).device)
        self.step_maker = Step(network, self.head, preparation, half)
        self.trained = [
            *network.named_parameters(),
            *(("head." + n, p) for n, p in self.head.named_parameters()),
        ]
        self.optimizer = Optimizer(self.trained, recipe.dense_rate, recipe.decay)
        self.averages = {name: p.detach().clone() for name, p in network.named_parameters()}
        self.start = {name: t.clone() for name, t in self.averages.items()} if origin else None
        self.step = 0
        self.seconds = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    @property
    def state_path(self) -> Path:
        return self.folder / "state.pt"

    @property
    def _curves_path(self) -> Path:
        return self.folder / "curves.csv"

    def _resume(self) -> None:
        state = load_state(self.state_path, self.recipe, self.origin)
        if state is None:
            if self.seat.rank == 0:
                self._curves_path.unlink(missing_ok=True)
            return
        self.network.load_state_dict(state["network"])
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.averages = {name: t.to(self.averages[name].device) for name, t in state["averages"].items()}
        self.step, self.seconds = state["step"], state["seconds"]
        self.commits = list(dict.fromkeys([*state["commits"], *self.commits]))

    def save(self) -> None:
        """Write the state to disk, in the first process alone."""
        if self.seat.rank:
            return
        state: dict[str, Any] = {
            "recipe": asdict(self.recipe),
            "origin": self.origin,
            "commits": self.commits,
            "network": self.network.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averages": self.averages,
            "step": self.step,
            "seconds": self.seconds,
        }
        save_state(self.state_path, state)

    def averaged(self) -> dict[str, torch.Tensor]:
        """State of the network with running averages of its parameters, for evaluation and release.

        In a run from a checkpoint, the share ``kept`` of the checkpoint's weights is mixed in.
        """
        averages = self.averages
        if self.start is not None:
            averages = {name: t.lerp(self.start[name], self.kept) for name, t in averages.items()}
        return {**self.network.state_dict(), **averages}

    def train(self, until: int | None = None, on_step: Callable[[Run, Figures], None] | None = None) -> None:
        """Make steps up to ``until`` (default: the recipe's end), saving every two minutes and at the end."""
        last = self.recipe.steps if until is None else min(until, self.recipe.steps)
        if self.step >= last:
            return
        saved = time.monotonic()
        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(self._draw, self.step)
            while self.step < last:
                started = time.monotonic()
                crops = waiting.result()
                waiting = ahead.submit(self._draw, self.step + 1)
                figures = self._make(crops)
                self.step += 1
                self.seconds += time.monotonic() - started
                self._note(figures)
                if on_step is not None:
                    on_step(self, figures)
                if time.monotonic() - saved > STATE_SECONDS:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def _draw(self, step: int) -> list[Crop]:
        recipe = self.recipe
        # one grid for all processes, so that none waits for a larger one's step
        grids = recipe.grids_at(step)
        grid = grids[int(np.random.default_rng([recipe.seed, 0, step]).integers(len(grids)))]
        rng = np.random.default_rng([recipe.seed, 1, step, self.seat.rank])
        tokens = recipe.dense_tokens if recipe.is_dense(step) else recipe.tokens
        is_late = recipe.is_late(step) and rng.random() < recipe.late_share
        source = self.late_source if is_late else self.source
        return draw_crops(rng, source, tokens, self.network.config.patch, grid)

    def _make(self, crops: list[Crop]) -> Figures:
        recipe, maker = self.recipe, self.step_maker
        rng = np.random.default_rng([recipe.seed, 2, self.step, self.seat.rank])
        rate = recipe.learning_rate(self.step)
        self.optimizer.zero_grad()
        where = recipe.is_where(self.step)
        with torch.set_grad_enabled(not where):
            tokens_bchw = maker.encode(crops)
        figures: Figures = {"rate": rate}
        gradient = torch.zeros_like(tokens_bchw)
        if not recipe.is_dense(self.step):
            gradient, more = maker.prompted(
                tokens_bchw, crops, rng, corrected=recipe.correction_chance(self.step), where=where
            )
            figures.update(more)
        share = recipe.dense_share(self.step)
        if share > 0:
            image = tokens_bchw.detach().requires_grad_()
            loss, more = maker.dense(image, crops, rng, clicks=recipe.is_dense(self.step))
            (share * loss).backward()
            figures.update(more)
            if image.grad is not None:
                gradient = gradient + image.grad
        if not where:
            tokens_bchw.backward(gradient)
        parameters = [p for _, p in self.trained]
        self.seat.share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        self.optimizer.step(rate)
        self._average()
        return figures

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.recipe.averaging, (1 + self.step) / (10 + self.step))
        for name, parameter in self.network.named_parameters():
            self.averages[name].lerp_(parameter, 1 - keep)

    def _note(self, figures: Figures) -> None:
        if self.seat.rank:
            return
        is_new = not self._curves_path.exists()
        with self._curves_path.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIGURES, restval="", extrasaction="ignore")
            if is_new:
                writer.writeheader()
            row: dict[str, float | int | str] = {k: f"{v:.5g}" for k, v in figures.items()}
            writer.writerow({**row, "step": self.step, "seconds": round(self.seconds, 1)})
