"""Sessions that format 1 saved are opened, shown and replayed as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from format_1 import IMAGES, NAMES, SavedSession, saved_session
from napari_samv1.masks.drawn import is_box
from napari_samv1.records.computation import Environment
from napari_samv1.storage.session.composite import label_image
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.record import PlaneRecord
from napari_samv1.storage.session.replay import Replayed, replay

# what no process that replays must be told: where the only level of a pyramid is that was annotated
LEVELS = {"multiscale": IMAGES / "coins.tif"}


@pytest.fixture(params=NAMES)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> SavedSession:
    return saved_session(request.param, tmp_path)


def told(plane: PlaneRecord) -> dict[str, Any]:
    """A plane as plain values: what must be the same however it is kept."""
    objects = {}
    for one in plane.pieces:
        prompts, settings = one.prompts, one.settings
        drawn = [shape for shape in one.drawn if shape.kind != "point" and not is_box(shape)]
        objects[str(one.id)] = {
            "points_yx": prompts.points_yx.tolist(),
            "labels": prompts.labels.tolist(),
            "boxes_yx": prompts.boxes_yx.tolist(),
            "area": None if prompts.area is None else int(prompts.area.mask.sum()),
            "candidate": prompts.candidate,
            "drawn": [[shape.kind, shape.vertices_yx.tolist(), shape.positive] for shape in drawn],
            "choice": settings.choice,
            "threshold": settings.threshold,
            "cleanup": None if settings.cleanup is None else vars(settings.cleanup),
            "rule": [settings.rule.kind, settings.rule.label],
            "chosen": one.chosen,
            "iou": None if one.scores is None else list(one.scores.iou),
            "stability": None if one.scores is None else list(one.scores.stability),
            "pending": one.pending,
            "answered": one.answer is not None,
            "pixels": one.mask.area,
            "derived": one.derived.area,
            "painted_in": one.painted_in.area,
            "painted_out": one.painted_out.area,
            "refined": one.refined.area,
            "reason": one.reason,
        }
    return {
        "name": plane.source.name,
        "index": list(plane.source.index),
        "image_shape": list(plane.source.image_shape),
        "level": plane.source.level,
        "shape_yx": list(plane.shape_yx),
        "pixels": plane.source.pixels,
        "matrix": [list(row) for row in plane.source.world.matrix],
        "units": list(plane.source.world.units),
        "stack": list(plane.order),
        "beneath": plane.beneath is not None,
        "objects": objects,
    }


def test_every_value_is_as_it_was(saved):
    assert [told(plane) for plane in open_session(saved.folder).planes] == saved.planes


def test_a_stretch_whose_percentiles_are_not_named_was_from_minimum_to_maximum(tmp_path):
    folder = saved_session("points", tmp_path).folder
    file = folder / "session.json"
    content = json.loads(file.read_text("utf-8"))
    for encoding in content["encodings"].values():
        assert len(encoding["preparation"].pop("percentiles")) == 2
    file.write_text(json.dumps(content), "utf-8")
    answers = [piece.answer for plane in open_session(file).planes for piece in plane.pieces]
    read = {one.request.embedding_key.preparation.percentiles for one in answers if one is not None}
    assert read == {(0.0, 100.0)}


def test_an_image_that_was_open_twice_comes_back_as_two(tmp_path):
    saved = saved_session("points", tmp_path)
    file = saved.folder / "session.json"
    content = json.loads(file.read_text("utf-8"))
    content["planes"] *= 2
    file.write_text(json.dumps(content), "utf-8")
    again = open_session(save_session(tmp_path / "again", open_session(file)))
    assert [[told(plane) for plane in image.planes] for image in again.images] == [saved.planes] * 2


def test_the_label_images_are_the_same_bit_for_bit(saved):
    planes = open_session(saved.folder).planes
    for number, plane in enumerate(planes):
        labels, expected = label_image(plane), saved.plane_labels(number)
        assert labels.dtype == expected.dtype
        np.testing.assert_array_equal(labels, expected)


def test_the_copy_that_was_saved_beside_it_shows_the_same(saved):
    files = sorted(saved.folder.glob("labels*.tif"))
    assert len(files) == (0 if saved.name == "autosaved" else len(saved.planes))
    for number, file in enumerate(files):
        np.testing.assert_array_equal(tifffile.imread(file), saved.arrays[f"plane_{number}"])


def test_saved_again_and_opened_it_is_still_the_same(saved, tmp_path):
    again = open_session(save_session(tmp_path / "again", open_session(saved.folder)))
    assert [told(plane) for plane in again.planes] == saved.planes
    for number, plane in enumerate(again.planes):
        np.testing.assert_array_equal(label_image(plane), saved.plane_labels(number))


def test_every_mask_is_made_again_from_the_image_and_the_model(saved):
    results = {}
    for result in replay(open_session(saved.folder), image=LEVELS.get(saved.name)):
        results[result.plane - 1, str(result.object_id)] = result
    expected = {
        (number, object_id): known
        for number, plane in enumerate(saved.planes)
        for object_id, known in plane["objects"].items()
    }
    assert results.keys() == expected.keys()
    alike = _is_alike(open_session(saved.folder).planes)
    for place, known in expected.items():
        result = results[place]
        assert result.area == known["pixels"]
        if alike:
            assert result.identical, str(result)
        assert _least_iou(result) > 0.99, str(result)


def _least_iou(result: Replayed) -> float:
    """The overlap of the mask with the recorded one, if all that differs were missing or too much."""
    assert result.differing is not None, str(result)
    if result.identical:
        return 1.0
    return (result.area - result.differing) / (result.area + result.differing)


def _is_alike(planes: tuple[PlaneRecord, ...]) -> bool:
    """Whether this process may be held to the same bits: torch, numpy, processor and platform are the same.

    On another processor sums may round in another order.
    """
    now = Environment.now()
    return all(
        getattr(made.environment, name) == getattr(now, name)
        for plane in planes
        for piece in plane.pieces
        if piece.answer is not None and (made := piece.answer.made_by) is not None
        for name in ("torch", "numpy", "processor", "platform")
    )
