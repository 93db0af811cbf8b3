"""Steps of `napari-samv1 train`, in order: scenes, training steps, scores, weights, card."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from napari_samv1.checkpoints.device import choose_device, choose_dtype
from napari_samv1.checkpoints.load import load_model
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model import Sam
from napari_samv1.model.config import TINY, SamConfig
from napari_samv1.records.preparation import BUNDLED, Preparation
from napari_samv1.training.allocator import keep_memory
from napari_samv1.training.curves import curves_picture, read_curves, thinned, write_curves
from napari_samv1.training.evaluate.images import TestImage, coins, from_folder, held_out
from napari_samv1.training.evaluate.nested import ambiguity
from napari_samv1.training.evaluate.report import calibration_picture, summary, table
from napari_samv1.training.evaluate.score import ImageScores, score_image
from napari_samv1.training.export import export, in_memory, write_card
from napari_samv1.training.first_stage_head import FirstStageHead
from napari_samv1.training.folders import work_folder
from napari_samv1.training.loop import KEPT, Run
from napari_samv1.training.pool import Pool, draw_pool
from napari_samv1.training.recipe import Recipe
from napari_samv1.training.scenes.kinds import LATE_SHARES
from napari_samv1.training.steps import Figures
from napari_samv1.training.team import Seat, seats

logger = logging.getLogger(__name__)
Groups = list[tuple[str, list[ImageScores]]]


def train(args: argparse.Namespace) -> int:
    """Train the model; an earlier run of the same recipe on disk is continued."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe, work, threads = _recipe(args), _work(args), torch.get_num_threads()
    _draw_scenes(recipe, work)
    network, preparation, origin = _start(args, TINY)
    head = FirstStageHead(network.config, recipe.seed)
    first, *others = seats(recipe.workers, [*network.parameters(), *head.parameters()])
    run = _begin(args, recipe, first, network, preparation, origin)
    last = recipe.steps if args.until is None else min(args.until, recipe.steps)
    processes = [
        get_context("spawn").Process(target=_help, args=(args, recipe, seat, network.config), daemon=True)
        for seat in (others if run.step < last else [])
    ]
    for process in processes:
        process.start()
    device = next(network.parameters()).device
    logger.info("step %d of %d, on %s", run.step, recipe.steps, device)

    def on_step(run: Run, figures: Figures) -> None:
        if run.step % 20 == 0:
            shown = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
            logger.info("step %d of %d: %s", run.step, recipe.steps, shown)
        if args.evaluate_every and run.step % args.evaluate_every == 0 and not recipe.is_dense(run.step):
            means = summary(_scores(_predictor(run), [("coins", [coins()])], args.objects))
            logger.info("coins: click %.3f, box %.3f", means["coins"]["click"], means["coins"]["box"])

    run.train(args.until, on_step)
    for process in processes:
        process.join()
    if run.step < recipe.steps:
        logger.info("stopped at step %d of %d; the same command continues", run.step, recipe.steps)
        return 0
    torch.set_num_threads(args.threads or threads)  # the other processes have ended
    path = args.export or work / f"run-{recipe.seed}" / ("trained.pt" if origin else "tiny.pt")
    sha256 = export(run.averaged(), run.network.config, path)
    groups = _scores(_predictor(run), _all_images(args.images), args.objects)
    calibration_picture([s for _, scores in groups for s in scores], path.with_name("calibration.png"))
    curves = thinned(read_curves(run.folder / "curves.csv"))
    write_curves(curves, path.with_name("curves_thinned.csv"))
    curves_picture(curves, path.with_name("curves.png"))
    facts: dict[str, Any] = {
        "config": asdict(run.network.config),
        "preparation": asdict(run.step_maker.preparation),
        "recipe": asdict(recipe),
        "started from": origin or "random weights",
        "kept of that": run.kept if origin else 0,
        "commit": ", ".join(run.commits),
        "hours": round(run.seconds / 3600, 2),
        "sha256": sha256,
        "scores": summary(groups),
    }
    tables = f"{table(groups)}\n\n{_nested(_predictor(run))}"
    write_card(path.with_name("MODEL_CARD.md"), facts, tables, bundled=not origin)
    logger.info("wrote %s\n%s", path, tables)
    return 0


def _draw_scenes(recipe: Recipe, work: Path) -> None:
    def say(done: int, of: int) -> None:
        logger.info("%d of %d scenes", done, of)

    draw_pool(
        work / f"scenes-{recipe.seed}",
        seed=recipe.seed,
        scenes=recipe.scenes,
        side=recipe.side,
        shard=recipe.shard,
        on_progress=say,
    )
    draw_pool(
        work / f"late-scenes-{recipe.seed}",
        seed=recipe.seed + 1,
        scenes=recipe.late_scenes,
        side=recipe.late_side,
        shares=LATE_SHARES,
        shard=recipe.shard,
        on_progress=say,
    )


def _recipe(args: argparse.Namespace) -> Recipe:
    chosen = {
        "seed": args.seed,
        "workers": args.workers or (2 if choose_device(args.device).type == "cpu" else 1),
        "scenes": args.scenes,
        "dense_steps": args.dense_steps,
        "where_steps": args.where_steps,
        "prompt_steps": args.prompt_steps,
    }
    usual = Recipe.going_on() if args.init else Recipe()
    if args.scenes is not None:
        chosen["late_scenes"] = -(-args.scenes * usual.late_scenes // usual.scenes)
    return replace(usual, **{name: value for name, value in chosen.items() if value is not None})


def _work(args: argparse.Namespace) -> Path:
    return work_folder(args.work)


def _start(args: argparse.Namespace, config: SamConfig) -> tuple[Sam, Preparation, str]:
    """Initial network on its device, its preparation, and the origin of its weights or ""."""
    device = choose_device(args.device)
    if not args.init:
        return Sam(config).to(device), BUNDLED, ""
    model = load_model(args.init, device=str(device), dtype="float32")
    return model.network, model.preparation, f"weights of sha256 {model.sha256}"


def _begin(
    args: argparse.Namespace,
    recipe: Recipe,
    seat: Seat,
    network: Sam,
    preparation: Preparation,
    origin: str,
) -> Run:
    keep_memory()
    if args.threads or seat.size > 1:
        torch.set_num_threads(args.threads or 1)
    work = _work(args)
    return Run(
        work / f"run-{recipe.seed}",
        recipe,
        network,
        preparation,
        Pool(work / f"scenes-{recipe.seed}", scenes=recipe.scenes),
        origin=origin,
        kept=KEPT if args.keep is None else args.keep,
        commit=_commit(),
        half=choose_dtype("auto", next(network.parameters()).device) is torch.bfloat16,
        late_source=Pool(work / f"late-scenes-{recipe.seed}", scenes=recipe.late_scenes),
        seat=seat,
    )


def _help(args: argparse.Namespace, recipe: Recipe, seat: Seat, config: SamConfig) -> None:
    """Train in another process of the same run: make its share of every step, and write nothing."""
    try:
        _begin(args, recipe, seat, *_start(args, config)).train(args.until)
    except BaseException:
        seat.leave()
        raise


def score(args: argparse.Namespace) -> int:
    """Print the tables of a model as Markdown and its means as JSON."""
    if args.threads:
        torch.set_num_threads(args.threads)
    predictor = Predictor(load_model(args.score, device=args.device))
    started = time.monotonic()
    groups = _scores(predictor, _all_images(args.images), args.objects)
    print(f"{table(groups)}\n\n{_nested(predictor)}\n")
    print(json.dumps(summary(groups), indent=1))
    print(f"{time.monotonic() - started:.0f} s")
    if args.export:
        calibration_picture([s for _, scores in groups for s in scores], args.export / "calibration.png")
    return 0


def _nested(predictor: Predictor) -> str:
    return ambiguity(predictor, _nested_images()).table()


def _nested_images() -> list[TestImage]:
    return held_out("nested", 8)


def _all_images(folder: Path | None) -> list[tuple[str, list[TestImage]]]:
    groups = [("coins", [coins()])]
    if folder is not None:
        groups.extend((test.name, [test]) for test in from_folder(folder))
    groups.extend(
        (f"synthetic {kind}", held_out(kind, 4))
        for kind in ("nuclei", "coins", "particles", "tissue", "nested")
    )
    return groups


def _scores(predictor: Predictor, groups: list[tuple[str, list[TestImage]]], most: int) -> Groups:
    return [(name, [score_image(predictor, test, most=most) for test in tests]) for name, tests in groups]


def _predictor(run: Run) -> Predictor:
    config, preparation = run.network.config, run.step_maker.preparation
    return Predictor(in_memory(run.averaged(), config, preparation, "in training"))


def _commit() -> str:
    """Return the git commit of this code, with "-dirty" if it was changed since."""
    here = Path(__file__)
    try:
        for command in (
            ["git", "ls-files", "--error-unmatch", here.name],  # an environment may lie in another repository
            ["git", "describe", "--always", "--dirty", "--exclude", "*"],
        ):
            done = subprocess.run(command, cwd=here.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return f"napari-samv1 {version('napari-samv1')}"
    return done.stdout.strip()
