"""``napari-samv1 segment``: label images of many files."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samv1.cli.failing import fail

if TYPE_CHECKING:
    from napari_samv1.batch.segment import Outcome, Task
    from napari_samv1.batch.settings import SegmentSettings

DESCRIPTION = """\
Find the objects in images and write them as label images, without a window.

INPUT is an image (TIFF, PNG, JPEG, npy, OME-Zarr, and formats of bioio or napari's plugins if they are
installed), a folder, which is searched through, or a pattern such as 'raw/**/*.tif'. Every plane of an
image is segmented by itself, in full resolution; colour is taken as colour. The labels of
INPUT/some/name.png go to DIR/some/name.tif. Images whose outputs are finished are skipped, unless the
image, the settings or the model have changed since.
"""

EPILOG = """\
examples:
  napari-samv1 segment raw/ --output labels/
  napari-samv1 segment 'plate/*_w1.tif' --output labels/ --format tif --format csv
  napari-samv1 segment slide.ome.zarr --output out/ --format geojson --channel 0 --detail 0.5
  napari-samv1 segment cells.png --output out/ --prompts clicks.csv
  napari-samv1 segment raw/ --output labels/ --mode grid --pred-iou-thresh 0.7 --save-settings mine.toml
  napari-samv1 segment raw/ --output labels/ --settings mine.toml --scheduler tcp://node1:8786

prompts (--prompts FILE) replace the search for objects:
  FILE.csv    columns y, x (points) or y0, x0, y1, x1 (boxes), in pixels; and, as needed, object (rows of
              one object belong together), label (1 in the object, 0 not in it), plane (from 0 on),
              image (file name)
  SESSION     the folder of a saved session: its prompts, on the planes they were given for
  LABELS.tif  a label image of the image's size: each label's box is a prompt

exit status: 0 all done or finished before, 1 some failed, 2 misused
"""

FROM_AUTOMATIC = {
    "mode": "auto (seeds where the model has a head that finds them, else grid), seeds, grid",
    "sizing": "arrange the image whole for the model: native, padded (as published), stretched",
    "detail": "model pixels per image pixel (1 native, 0.5 half, ...), whole, or auto",
    "points_per_side": "grid: points along each side of a region",
    "points_per_batch": "most prompts decoded at once",
    "pred_iou_thresh": "keep masks with a predicted IoU above this; 0 keeps all",
    "stability_score_thresh": "keep masks that are at least this stable; 0 keeps all",
    "stability_score_offset": "shift of the threshold that measures the stability",
    "box_nms_thresh": "of two masks that overlap by more, keep the better one",
    "crop_n_layers": "grid: search crops too, (2**k)**2 of them in layer k",
    "crop_nms_thresh": "the same as --box-nms-thresh, between crops",
    "crop_overlap_ratio": "overlap of neighbouring crops",
    "crop_n_points_downscale_factor": "grid: fewer points a side in deeper layers, by this factor",
    "min_mask_region_area": "remove holes and islands of fewer pixels",
    "min_area": "drop objects of fewer pixels",
    "max_area": "drop objects of more pixels; 0 drops none",
    "min_roundness": "drop objects that are less round: 1 is a disc, 0.79 a square",
    "keep_border": "keep objects that touch the image's border",
}


def run(words: list[str]) -> int:
    """Segment files; return the exit status."""
    from napari_samv1.batch.settings import SegmentSettings, SettingsError
    from napari_samv1.checkpoints.device import choose_device
    from napari_samv1.checkpoints.errors import CheckpointError
    from napari_samv1.images.source import ReadError

    parser = _parser()
    chosen = parser.parse_args(words)
    try:
        base = SegmentSettings() if chosen.settings is None else SegmentSettings.from_file(chosen.settings)
        settings = base.changed(_from_options(chosen))
    except SettingsError as error:
        parser.error(str(error))
    if chosen.workers < 1:
        parser.error(f"--workers must be 1 or more, got {chosen.workers}")
    if chosen.scheduler is not None and not chosen.scheduler.strip():
        parser.error("--scheduler must be an address such as tcp://node1:8786, got an empty one")
    if chosen.save_settings is not None:
        try:
            _save(chosen.save_settings, settings)
        except SettingsError as error:
            parser.error(str(error))
    if not chosen.inputs:
        if chosen.save_settings is not None:
            return 0
        parser.error("name at least one image, folder or pattern")
    if chosen.output is None:
        parser.error("name a folder for the outputs: --output DIR")
    try:
        tasks = _tasks(chosen, settings)
        if not chosen.scheduler:
            choose_device(settings.device)
    except (CheckpointError, ReadError, ValueError) as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"{error.filename} cannot be read: {error.strerror}")
    return _run(tasks, chosen)


def _parser() -> argparse.ArgumentParser:
    from napari_samv1.batch.settings import SUFFIXES
    from napari_samv1.records.automatic import AutomaticSettings

    parser = argparse.ArgumentParser(
        prog="napari-samv1 segment",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="image, folder or pattern")
    add("--output", "-o", type=Path, metavar="DIR", help="folder for the outputs")
    add("--format", dest="formats", action="append", choices=list(SUFFIXES), help="may be repeated [tif]")
    add("--model", metavar="NAME_OR_FILE", help="a known model or a checkpoint file [tiny]")
    add("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps [auto]")
    add("--channel", type=int, metavar="N", help="one channel or colour, counted from 0 [all]")
    add("--plane", metavar="N[,N]", help="index on the axes before rows and columns, from 0 on [all]")
    add(
        "--intensity",
        metavar="LOW,HIGH",
        help="values shown as black and white, or dtype, or minmax "
        "[8-bit as it is, others by percentiles 0.1 and 99.9]",
    )
    add("--prompts", type=Path, metavar="FILE", help="segment only the objects with prompts; see below")
    add("--settings", type=Path, metavar="FILE.toml", help="take settings from a file; options override them")
    add("--save-settings", type=Path, metavar="FILE.toml", help="write the settings to a file")
    add(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="cache embeddings in a folder, like napari-samv1 embed",
    )
    add("--workers", type=int, default=1, metavar="N", help="images at once, as threads of this process [1]")
    add("--scheduler", metavar="ADDRESS", help="run on the dask.distributed cluster of this scheduler")
    add("--json", action="store_true", help="print one JSON object a line on stdout, the summary last")
    add("--quiet", "-q", action="store_true", help="no progress bar")
    group = parser.add_argument_group("finding objects")
    defaults = AutomaticSettings()
    for field in fields(AutomaticSettings):
        default = getattr(defaults, field.name)
        option = f"--{field.name.replace('_', '-')}"
        if isinstance(default, bool):
            words = f"{FROM_AUTOMATIC[field.name]} [{'yes' if default else 'no'}]"
            group.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=words)
            continue
        group.add_argument(
            option,
            type=_detail if field.name == "detail" else type(default) if default is not None else str,
            metavar=field.name.split("_")[-1].upper(),
            help=f"{FROM_AUTOMATIC[field.name]}"
            + (f" [{default:.3g}]" if isinstance(default, float) else "")
            + (f" [{default}]" if isinstance(default, int | str) else ""),
        )
    return parser


def _detail(text: str) -> float | str:
    try:
        return text if text in ("auto", "whole") else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number, whole or auto, got {text!r}") from error


def _from_options(chosen: argparse.Namespace) -> dict[str, Any]:
    """Settings that the command line names."""
    values: dict[str, Any] = {
        name: value for name in ("model", "device", "channel") if (value := getattr(chosen, name)) is not None
    }
    if chosen.formats:
        values["formats"] = tuple(chosen.formats)
    if chosen.plane is not None:
        values["plane"] = _numbers(chosen.plane, int, "--plane", "numbers such as 3 or 0,3")
    if chosen.intensity is not None:
        values["intensity"] = (
            chosen.intensity
            if chosen.intensity in ("dtype", "minmax")
            else _numbers(chosen.intensity, float, "--intensity", "LOW,HIGH, dtype or minmax")
        )
    values["automatic"] = {
        name: value for name in FROM_AUTOMATIC if (value := getattr(chosen, name)) is not None
    }
    return values


def _numbers(text: str, kind: type[int] | type[float], option: str, expected: str) -> tuple[Any, ...]:
    from napari_samv1.batch.settings import SettingsError

    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(f"{option} must be {expected}, got {text!r}") from error


def _save(path: Path, settings: SegmentSettings) -> None:
    from napari_samv1.batch.settings import SettingsError
    from napari_samv1.disk.atomic import write_file

    try:
        content = settings.to_toml().encode("utf-8")
    except UnicodeEncodeError as error:
        raise SettingsError(
            f"the model's path {settings.model!a} is no UTF-8, which TOML cannot hold: rename the file"
        ) from error
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        write_file(path.absolute(), content)
    except OSError as error:
        raise SettingsError(f"--save-settings {path} could not be written: {error.strerror}") from error


def _tasks(chosen: argparse.Namespace, settings: SegmentSettings) -> list[Task]:
    from napari_samv1.batch.finished import RECORDS
    from napari_samv1.batch.inputs import inputs, refuse_replaced
    from napari_samv1.batch.segment import Task
    from napari_samv1.checkpoints.load import locate
    from napari_samv1.images.source import ReadError

    if chosen.prompts is not None and not chosen.prompts.exists():
        raise ReadError(f"there is no file or folder {chosen.prompts}")
    prompts = None if chosen.prompts is None else chosen.prompts.absolute()
    folder = chosen.output.expanduser().absolute()
    cache = None if chosen.cache is None else chosen.cache.expanduser().absolute()
    found = inputs(chosen.inputs, folder)
    weights, listed = locate(settings.model)
    if listed is None:
        # a worker of a cluster may run in another folder
        settings = replace(settings, model=str(weights.absolute()))
    tasks = [Task(one.path, one.stem, folder, settings, prompts, cache) for one in found]
    sources = [one.path for one in found] + ([] if prompts is None else [prompts])
    refuse_replaced(sources, [target for task in tasks for target in task.targets])
    try:
        (folder / RECORDS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReadError(f"--output {chosen.output} is no folder to write to: {error.strerror}") from error
    return tasks


def _run(tasks: Sequence[Task], chosen: argparse.Namespace) -> int:
    from napari_samv1.batch.cluster import ClusterError, OtherVersionError, on_cluster, on_threads

    started = time.monotonic()
    bar = _Bar(len(tasks), is_shown=not (chosen.quiet or chosen.json) and sys.stderr.isatty())
    counts = {"done": 0, "skipped": 0, "failed": 0}
    objects = 0

    def tell_of_waiting() -> None:
        bar.clear()
        print(f"napari-samv1: waiting for workers at {chosen.scheduler}", file=sys.stderr, flush=True)

    outcomes: Iterator[Outcome] = (
        on_cluster(tasks, chosen.scheduler, tell_of_waiting)
        if chosen.scheduler
        else on_threads(tasks, chosen.workers, bar.within)
    )
    try:
        for outcome in outcomes:
            counts[outcome.status] += 1
            objects += outcome.objects
            bar.clear()
            print(json.dumps(outcome.to_json()) if chosen.json else _line(outcome, chosen.output), flush=True)
            bar.image_done()
    except OtherVersionError as error:
        fail(str(error))
        return 2
    except ClusterError as error:
        return fail(str(error))
    finally:
        bar.clear()
        close = getattr(outcomes, "close", None)
        if close is not None:
            close()
    seconds = time.monotonic() - started
    if chosen.json:
        print(json.dumps({**counts, "objects": objects, "seconds": round(seconds, 3)}))
    else:
        parts = [f"{count} {status}" for status, count in counts.items() if count]
        print(f"{', '.join(parts)}: {objects} objects in {seconds:.1f} s")
    return 1 if counts["failed"] else 0


def _line(outcome: Outcome, folder: Path) -> str:
    if outcome.status == "failed":
        return f"{outcome.path}: FAILED: {outcome.error}"
    paths = ", ".join(_below(path, folder) for path in outcome.outputs[:3])
    paths += f" and {len(outcome.outputs) - 3} more" if len(outcome.outputs) > 3 else ""
    if outcome.status == "skipped":
        return f"{outcome.path}: finished before: {paths}"
    planes = f" on {outcome.planes} planes" if outcome.planes > 1 else ""
    return f"{outcome.path}: {outcome.objects} objects{planes} in {outcome.seconds:.1f} s: {paths}"


def _below(path: Path, folder: Path) -> str:
    try:
        return str(folder / path.relative_to(folder.expanduser().absolute()))
    except ValueError:
        return str(path)


class _Bar:
    """Progress bar on a terminal's stderr: finished images, and parts of the running ones."""

    WIDTH = 30

    def __init__(self, images: int, is_shown: bool) -> None:
        self.images = images
        self.is_shown = is_shown
        self.done = 0
        self.parts: dict[Any, float] = {}
        self.drawn_at = 0.0

    def within(self, task: Task, done: int, total: int) -> None:
        self.parts[task.path] = done / total if total else 0.0
        if time.monotonic() - self.drawn_at > 0.2:
            self.draw()

    def image_done(self) -> None:
        self.done += 1
        self.parts = {path: part for path, part in self.parts.items() if part < 1}
        self.draw()

    def draw(self) -> None:
        if not self.is_shown:
            return
        self.drawn_at = time.monotonic()
        share = min(1.0, (self.done + sum(self.parts.values())) / self.images)
        full = int(self.WIDTH * share)
        bar = "#" * full + "." * (self.WIDTH - full)
        print(f"\r[{bar}] {self.done} of {self.images}, {share:.0%} ", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.is_shown and self.drawn_at:
            print("\r" + " " * (self.WIDTH + 40) + "\r", end="", file=sys.stderr, flush=True)
