"""A session that was saved and opened again goes on where it stood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.prompts.features import make_points, make_shapes
from napari_samv1.layers.recording import Recorder
from napari_samv1.layers.reopening import go_on
from napari_samv1.records.place import Plane
from napari_samv1.storage.session.folder import open_session, save_session


def test_prompts_put_back_through_a_transform_leave_every_object_answered(squares, embedding, tmp_path):
    viewer = ViewerModel()
    image = Image(np.zeros((40, 60)), scale=(0.107, 0.2), rotate=33, translate=(3, 1.1))
    points, shapes = make_points(image), make_shapes(image)
    for layer in (image, points, shapes):
        viewer.add_layer(layer)
    points.add(np.random.default_rng(0).uniform(5, 35, (20, 2)))
    points.features = points.features.assign(object=np.arange(20) % 7 + 1)
    shapes.add_rectangles(np.array([[2.1, 3.3], [20.7, 31.9]]))
    binding = AnnotationBinding(viewer)
    binding.image, binding.points, binding.shapes = image, points, shapes
    binding.sync()
    for result in run_each(squares, binding.edits.jobs(embedding)):
        binding.edits.accept([result])
    assert binding.shown.pending == ()

    record = Recorder().record(binding, viewer.layers, {})
    # an encoding of the fakes has no provenance to be written: all is as if painted
    [opened] = open_session(save_session(tmp_path / "s", without_answers(record))).images
    answers = {piece.key: piece for piece in binding.shown.objects.values()}
    pieces = [replace(piece, answer=answers[piece.key].answer) for piece in opened.planes[0].pieces]
    assert [piece.mask for piece in pieces] == [answers[piece.key].mask for piece in pieces]
    other = ViewerModel()
    again = AnnotationBinding(other)
    same = other.add_image(image.data, scale=image.scale, rotate=image.rotate, translate=image.translate)
    labels = other.add_labels(np.zeros((40, 60), dtype=np.uint16), scale=image.scale)
    go_on(again, same, labels, opened.objects, pieces, {Plane(): opened.planes[0].order})
    # rounded on the way through the layers, and yet as it was
    assert again.sync().pending == ()
    assert not again.document.undo_label
    assert again.shown.stack == binding.shown.stack
    for piece in pieces:
        assert again.shown.get(piece.id) is piece
    binding.close()
    again.close()


def without_answers(record):
    """The same record of pieces that no network was asked about."""
    images = []
    for image in record.images:
        planes = [
            replace(plane, pieces=tuple(replace(one, answer=None) for one in plane.pieces))
            for plane in image.planes
        ]
        images.append(replace(image, planes=tuple(planes)))
    return replace(record, images=tuple(images))
