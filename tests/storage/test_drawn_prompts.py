"""Prompts of other kinds: the hint comes back, and what a path stands for is not given twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.prompts import Prompts, points_along
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.prompt_tables import point_rows, shape_rows
from napari_samv1.storage.session.record import SessionRecord

from .conftest import crop, one_object, small_plane


def test_the_area_of_the_prompts_comes_back(tmp_path):
    area = crop(slice(3, 20), slice(5, 30), holes=True)
    known = one_object(1, prompts=Prompts(boxes_yx=[(3, 5, 19, 29)], area=area), refined=area)
    opened = open_session(save_session(tmp_path / "s", SessionRecord((small_plane(known),))))
    found = opened.planes[0].objects[0]
    assert found.prompts == known.prompts
    assert found.prompts.area == found.refined == area
    assert found.answered.prompts == known.prompts


def test_the_points_along_a_path_are_not_points_of_their_own():
    path = np.array([(2.0, 3.0), (2.0, 30.0), (20.0, 30.0)])
    along = points_along(path)
    prompts = Prompts([*along, (40.0, 41.0)], [1] * len(along) + [0])
    plane = replace(small_plane(one_object(4, prompts=prompts)), drawn={4: (DrawnShape("path", path),)})
    rows = point_rows([plane])
    assert rows.polarities == ("negative",)
    assert rows.coordinates[0, -2:].tolist() == [40.0, 41.0]
    assert [row.kind for row in shape_rows([plane])] == ["path"]


def test_the_box_of_a_mask_to_refine_is_not_drawn_again():
    area = crop(slice(3, 20), slice(5, 30))
    known = one_object(1, prompts=Prompts(boxes_yx=[(3, 5, 19, 29)], area=area), refined=area)
    assert shape_rows([small_plane(known)]) == []
