"""Steps of `napari-samv1 train --dense-head MODEL`: rounds, calibration, a file beside the weights."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import torch

from napari_samv1.checkpoints.dense import head_path, load_head, save_head
from napari_samv1.checkpoints.load import load_model
from napari_samv1.engine.automatic.dense_seeds import HeadProposer
from napari_samv1.engine.predictor import Predictor
from napari_samv1.records.calibration import Calibration
from napari_samv1.training.allocator import keep_memory
from napari_samv1.training.dense_calibration import calibrated
from napari_samv1.training.dense_head import DenseRecipe, DenseRun
from napari_samv1.training.folders import work_folder

logger = logging.getLogger(__name__)


def train(args: argparse.Namespace) -> int:
    """Train the remaining rounds; an earlier run of the same recipe on disk is continued."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    keep_memory()
    if args.threads:
        torch.set_num_threads(args.threads)
    model = load_model(args.dense_head, device=args.device, dtype="float32")
    recipe = DenseRecipe(seed=args.seed)
    if args.rounds is not None:
        recipe = replace(recipe, rounds=args.rounds)
    begun = "" if args.head is None else f", a head of sha256 {load_head(args.head).sha256}"
    folder = work_folder(args.work) / f"dense-{model.sha256[:8]}-{recipe.seed}"
    run = DenseRun(
        folder,
        recipe,
        model.network,
        model.preparation,
        origin=f"weights of sha256 {model.sha256}{begun}",
        head=None if args.head is None else load_head(args.head).head,
        workers=args.workers or 0,
    )

    def on_round(run: DenseRun, figures: dict[str, float]) -> None:
        shown = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
        logger.info("round %d of %d: %s", run.round, recipe.rounds, shown)

    run.train(on_round, until=args.until)
    head = run.averaged()
    calibration = Calibration()
    if run.round == recipe.rounds:
        calibration = calibrated(Predictor(model, HeadProposer(head.to(model.device), calibration)))
    path = args.export or folder / head_path(Path(model.name)).name
    sha256 = save_head(path, head, calibration, model.sha256)
    logger.info("wrote %s, sha256 %s, after round %d: %s", path, sha256, run.round, calibration)
    return 0
