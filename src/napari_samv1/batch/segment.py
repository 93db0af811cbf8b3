"""One image file -> its objects -> files: plain functions for a whole image or for parts of it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Literal

from napari_samv1.batch.composite import Composite, open_for
from napari_samv1.batch.finished import finish, is_finished, unfinish
from napari_samv1.batch.models import model_identity, predictor_of
from napari_samv1.batch.outputs import Results, path_of, write_outputs
from napari_samv1.batch.prompts import Place, prompts_for
from napari_samv1.batch.reading import OpenedImage
from napari_samv1.batch.settings import SUFFIXES, SegmentSettings
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.engine.automatic.by_region import find_in_region, joined, region_windows
from napari_samv1.engine.automatic.everything import in_regions, proposer_for, run
from napari_samv1.engine.automatic.found import Found, FoundObject
from napari_samv1.engine.automatic.progress import Share
from napari_samv1.engine.disk_store import store_in
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.progress import Cancelled, OnProgress
from napari_samv1.engine.regions import Window
from napari_samv1.engine.view import ImageView
from napari_samv1.images.source import ReadError
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.model.memory import is_out_of_memory
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.prompts import Prompts
from napari_samv1.storage.errors import SessionError

REGIONS_A_PART = 16
"""Number of regions in a task on a cluster; regions of a task share pixels and embeddings."""

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Task:
    """An image file to segment, and the folder and name of its outputs.

    ``prompts`` is a file of prompts, ``cache`` a folder for embeddings, if any.
    """

    path: Path
    stem: str
    folder: Path
    settings: SegmentSettings
    prompts: Path | None = None
    cache: Path | None = None

    @property
    def made_from(self) -> dict[str, Any]:
        """Everything that the outputs depend on, as plain values: the file as it is now, and the settings."""
        return {
            "input": _fingerprint(self.path),
            "prompts": None if self.prompts is None else _fingerprint(self.prompts),
            "settings": {**self.settings.to_json(), "device": None},
            "model": model_identity(self.settings.model),
            "version": version("napari-samv1"),
        }

    @property
    def targets(self) -> list[Path]:
        """Paths of the outputs."""
        return [path_of(self.folder, self.stem, form) for form in self.settings.formats]


@dataclass(frozen=True)
class Outcome:
    """Outcome of a task. ``error`` is a sentence, or "" if nothing failed."""

    path: Path
    status: Status
    outputs: tuple[Path, ...] = ()
    objects: int = 0
    planes: int = 0
    seconds: float = 0.0
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "input": str(self.path),
            "status": self.status,
            "outputs": [str(one) for one in self.outputs],
            "objects": self.objects,
            "planes": self.planes,
            "seconds": round(self.seconds, 3),
            "error": self.error,
        }


@dataclass(frozen=True)
class Part:
    """Some regions of a plane, by their windows; all of them if ``windows`` is None."""

    plane: int
    windows: tuple[Window, ...] | None = None


def segment_file(task: Task, on_progress: OnProgress | None = None) -> Outcome:
    """Segment an image and write its outputs, unless they are finished; errors are in the outcome.

    ``Cancelled`` from the callback is passed on, and nothing is written.
    """
    started = time.monotonic()
    try:
        made_from = task.made_from
        if (ready := finished(task, made_from)) is not None:
            return ready
        image = open_for(task.path, task.settings)
        planes = []
        for number in range(len(image.planes)):
            report = _share(on_progress, number, len(image.planes))
            planes.append(segment_plane(task, image, number, report))
            # a cancelled image has no output
            if not planes[-1].complete:
                raise Cancelled
        return write(task, made_from, image, planes, started)
    except Exception as error:
        return failed(task, error, started)


def finished(task: Task, made_from: dict[str, Any]) -> Outcome | None:
    """Outcome of a task whose outputs are finished already, or None."""
    outputs = is_finished(task.folder, task.stem, made_from)
    return None if outputs is None else Outcome(task.path, "skipped", tuple(outputs))


def failed(task: Task, error: Exception, started: float) -> Outcome:
    """Outcome of a task that raised: expected errors as their sentence, others with their type.

    ``Cancelled`` is raised again.
    """
    if isinstance(error, Cancelled):
        raise error
    if is_out_of_memory(error) and not (isinstance(error, MemoryError) and str(error)):
        error = MemoryError("memory ran out: use fewer --workers, a smaller --model, or --device cpu")
    expected = (ReadError, CheckpointError, SessionError, ValueError, MemoryError)
    sentence = str(error) if isinstance(error, expected) else f"{type(error).__name__}: {error}"
    return Outcome(task.path, "failed", seconds=time.monotonic() - started, error=sentence)


def write(
    task: Task, made_from: dict[str, Any], image: OpenedImage, planes: Sequence[Found], started: float
) -> Outcome:
    """Write the outputs of an image's planes, then the record that they are complete.

    ``made_from`` is the task's as it was before the image was opened.

    Raises
    ------
    ReadError
        If the image or another file has changed since, so that the objects may be those of neither.
    """
    now = task.made_from
    changed = [name for name in now if now[name] != made_from[name]]
    if changed:
        raise ReadError(
            f"the {' and the '.join(changed)} changed while {task.path} was segmented: run it again"
        )
    results = Results(image, task.path.name, tuple(planes))
    before = unfinish(task.folder, task.stem)
    outputs = write_outputs(task.folder, task.stem, task.settings.formats, results)
    _remove_outdated(before, outputs, task)
    finish(task.folder, task.stem, made_from, outputs)
    return Outcome(task.path, "done", tuple(outputs), results.count, len(planes), time.monotonic() - started)


def _remove_outdated(before: Sequence[Path], outputs: Sequence[Path], task: Task) -> None:
    """Remove files of an earlier run with more planes; those of other formats stay."""
    endings = tuple(SUFFIXES[form] for form in task.settings.formats)
    for path in before:
        if path not in outputs and path.name.endswith(endings) and path.is_file():
            path.unlink(missing_ok=True)


def segment_plane(
    task: Task, image: OpenedImage, number: int, on_progress: OnProgress | None = None
) -> Found:
    """Find all objects of one plane, or the objects of the prompts."""
    predictor = predictor_of(task.settings.model, task.settings.device)
    plane = image.planes[number]
    if task.prompts is not None:
        names = (task.path.name, task.stem, str(task.path))
        prompts = prompts_for(task.prompts, Place(names, image.planes, image.plane_hw))[number]
        return answer_prompts(_view(task, image, plane), prompts, task.settings)
    automatic = task.settings.automatic
    if automatic.is_arranged:
        if task.settings.composite:
            pixels = Composite(image, plane, task.settings.composite).pixels()
        else:
            pixels = image.source.read(Region(plane, (0, 0, *image.plane_hw)), image.plane_hw)
        return run(predictor, pixels, automatic, intensity=task.settings.intensity, on_progress=on_progress)
    proposer = proposer_for(predictor, automatic)
    return in_regions(_view(task, image, plane), automatic, proposer, on_progress)


def parts_of(task: Task) -> list[Part]:
    """Split an image into independent parts: its planes, or groups of regions of large planes."""
    image = open_for(task.path, task.settings)
    whole = [Part(number) for number in range(len(image.planes))]
    if task.prompts is not None or task.settings.automatic.is_arranged:
        return whole
    windows = region_windows(_view(task, image, image.planes[0]), task.settings.automatic)
    if len(windows) <= REGIONS_A_PART:
        return whole
    groups = [tuple(windows[i : i + REGIONS_A_PART]) for i in range(0, len(windows), REGIONS_A_PART)]
    return [Part(number, group) for number in range(len(image.planes)) for group in groups]


def find_part(task: Task, part: Part) -> Found | list[FoundObject]:
    """Find the objects of a plane, or of some of its regions."""
    image = open_for(task.path, task.settings)
    if part.windows is None:
        return segment_plane(task, image, part.plane)
    predictor = predictor_of(task.settings.model, task.settings.device)
    proposer = proposer_for(predictor, task.settings.automatic)
    view = _view(task, image, image.planes[part.plane])
    objects: list[FoundObject] = []
    for window in part.windows:
        find_in_region(view, window, task.settings.automatic, proposer, Share(None, 0, 1), objects)
    return objects


def join_parts(
    task: Task,
    made_from: dict[str, Any],
    parts: Sequence[Part],
    found: Sequence[Found | list[FoundObject]],
    started: float,
) -> Outcome:
    """Join the objects found in the parts of an image, and write its outputs."""
    try:
        image = open_for(task.path, task.settings)
        predictor = predictor_of(task.settings.model, task.settings.device)
        proposer = proposer_for(predictor, task.settings.automatic)
        calibration = None if proposer is None else proposer.calibration
        planes: list[Found] = []
        for number in range(len(image.planes)):
            on_plane = [one for part, one in zip(parts, found, strict=True) if part.plane == number]
            whole = [one for one in on_plane if isinstance(one, Found)]
            if whole:
                planes += whole
                continue
            objects = [one for some in on_plane if isinstance(some, list) for one in some]
            kept = joined(objects, task.settings.automatic, image.plane_hw, calibration=calibration)
            mode = "grid" if proposer is None else "seeds"
            planes.append(Found(tuple(kept), image.plane_hw, task.settings.automatic, mode))
        return write(task, made_from, image, planes, started)
    except Exception as error:
        return failed(task, error, started)


def answer_prompts(view: ImageView, prompts: dict[int, Prompts], settings: SegmentSettings) -> Found:
    """Answer each object's prompts as in napari; ids stay, and objects without a mask are left out."""
    predictions = view.answer_each(list(prompts.values()), settings.automatic.detail)
    kept = []
    for number, (asked, prediction) in zip(
        prompts, zip(prompts.values(), predictions, strict=True), strict=True
    ):
        one = _answered(asked, prediction, view.plane)
        if one.area:
            kept.append((number, one))
    return Found(
        tuple(one for _, one in kept),
        view.plane_hw,
        settings.automatic,
        "prompts",
        ids=tuple(number for number, _ in kept),
    )


def _answered(prompts: Prompts, prediction: Prediction, plane: Plane) -> FoundObject:
    best = prediction.best()
    crop = prediction.crop(best)
    stability = float(prediction.stability()[best])
    region = Region(plane, prediction.region_yxhw)
    return FoundObject(
        PackedCrop.of(crop), crop.area, float(prediction.iou[best]), stability, prompts, best, region
    )


def _view(task: Task, image: OpenedImage, plane: Plane) -> ImageView:
    predictor = predictor_of(task.settings.model, task.settings.device)
    if task.settings.composite:
        pixels = Composite(image, plane, task.settings.composite).for_model(predictor.model)
        return ImageView(predictor, pixels, store_in(task.cache))
    return predictor.on_image(image.source, intensity=task.settings.intensity, plane=plane, cache=task.cache)


def _share(on_progress: OnProgress | None, number: int, count: int) -> OnProgress | None:
    """Progress callback for one plane, as a part of its image's progress."""
    if on_progress is None:
        return None

    def report(done: int, total: int) -> None:
        on_progress(1000 * number + (1000 * done // total if total else 0), 1000 * count)

    return report


def _fingerprint(path: Path) -> dict[str, Any]:
    """Name, size and time of a file, or of a folder with all of its files."""
    try:
        stats = [one.stat() for one in _files(path)]
    except FileNotFoundError as error:
        raise ReadError(f"there is no file {error.filename}") from error
    except OSError as error:
        raise ReadError(f"{error.filename} cannot be read: {error.strerror}") from error
    return {
        "name": path.name,
        "files": len(stats),
        "bytes": sum(stat.st_size for stat in stats),
        "modified_ns": max((stat.st_mtime_ns for stat in stats), default=0),
    }


def _files(path: Path) -> list[Path]:
    mode = path.stat().st_mode
    if S_ISREG(mode):
        return [path]
    # opening a pipe would wait for a writer
    if not S_ISDIR(mode):
        raise ReadError(f"{path} is a pipe or a device, and a file is expected: write its content to one")

    def refuse(error: OSError) -> None:
        raise error

    inside = [Path(place) / name for place, _, names in os.walk(path, onerror=refuse) for name in names]
    return [one for one in inside if one.is_file()]
