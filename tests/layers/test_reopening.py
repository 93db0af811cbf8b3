"""A session that was saved and opened again goes on where it stood."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from napari_samv1.engine.session import AnnotationSession, run_each
from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.prompts.features import make_points, make_shapes
from napari_samv1.layers.prompts.read import read_prompts
from napari_samv1.layers.recording import plane_source
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.prompt_tables import point_rows, shape_rows
from napari_samv1.storage.session.record import SessionRecord
from napari_samv1.storage.session.recorder import Annotated, Recorder


def test_prompts_put_back_through_a_transform_leave_every_object_answered(squares, embedding, tmp_path):
    viewer = ViewerModel()
    image = Image(np.zeros((40, 60)), scale=(0.107, 0.2), rotate=33, translate=(3, 1.1))
    points, shapes = make_points(image), make_shapes(image)
    for layer in (image, points, shapes):
        viewer.add_layer(layer)
    points.add(np.random.default_rng(0).uniform(5, 35, (20, 2)))
    points.features = points.features.assign(object=np.arange(20) % 7 + 1)
    shapes.add_rectangles(np.array([[2.1, 3.3], [20.7, 31.9]]))
    plane = displayed_plane(viewer, image)
    session = AnnotationSession(plane.shape_yx)
    session.set_prompts(read_prompts(plane, image, points, shapes).by_object)
    for result in run_each(squares, session.jobs(embedding)):
        session.accept(result)
    assert session.pending == ()

    recorder = Recorder()
    record = recorder.record([Annotated(plane_source(image, plane), session)])
    # the fakes have no provenance to be written
    [recorded] = record.planes
    recorded.computations.clear()  # type: ignore[attr-defined]
    [opened] = open_session(save_session(tmp_path / "s", SessionRecord((recorded,)))).planes
    again = AnnotationSession(plane.shape_yx)
    change = again.restore(session.objects.values(), opened.stack)
    assert {one.id for one in change.masks} == {known.id for known in opened.objects if not known.mask.empty}
    assert [known.mask for known in opened.objects] == [known.mask for known in session.objects.values()]

    rows = point_rows([opened])
    points.data = rows.coordinates
    points.features = points.features.assign(object=rows.objects, polarity=rows.polarities)
    shapes.data = []
    for row in shape_rows([opened]):
        shapes.add(row.vertices, shape_type=row.kind)
    read = read_prompts(plane, image, points, shapes).by_object
    assert read != {known.id: known.prompts for known in opened.objects}  # rounded on the way
    assert not again.set_prompts(read)
    assert again.pending == ()
    assert not again.can_undo
