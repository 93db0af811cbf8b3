"""Prompts of other kinds: the hint comes back, and what a path stands for is not given twice."""

from __future__ import annotations

import numpy as np

from napari_samv1.records.drawn import DrawnShape, drawn_point
from napari_samv1.records.prompts import Prompts, points_along
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.prompt_tables import point_rows, shape_rows

from .conftest import crop, one_object, session_of, small_plane


def test_the_area_of_the_prompts_comes_back(tmp_path):
    area = crop(slice(3, 20), slice(5, 30), holes=True)
    known = one_object(1, prompts=Prompts(boxes_yx=[(3, 5, 19, 29)], area=area), refined=area, drawn=())
    opened = open_session(save_session(tmp_path / "s", session_of(small_plane(known))))
    found = opened.planes[0].pieces[0]
    assert found.prompts == known.prompts
    assert found.prompts.area == found.refined == area
    assert found.answer.request.prompts == known.prompts


def test_the_points_along_a_path_are_not_points_of_their_own():
    path = np.array([(2.0, 3.0), (2.0, 30.0), (20.0, 30.0)])
    drawn = drawn_point((40.0, 41.0), positive=False), DrawnShape("path", path)
    piece = one_object(4, drawn=drawn)
    assert len(piece.prompts.points_yx) == 1 + len(points_along(path))
    plane = small_plane(piece)
    rows = point_rows([plane])
    assert rows.polarities == ("negative",)
    assert rows.coordinates[0, -2:].tolist() == [40.0, 41.0]
    assert [row.kind for row in shape_rows([plane])] == ["path"]


def test_the_box_of_a_mask_to_refine_is_not_drawn_again():
    area = crop(slice(3, 20), slice(5, 30))
    known = one_object(1, prompts=Prompts(boxes_yx=[(3, 5, 19, 29)], area=area), refined=area, drawn=())
    assert shape_rows([small_plane(known)]) == []
