from __future__ import annotations

import numpy as np

from napari_samv1.annotation.pieces import Piece
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.storage.session.picture import EXISTING, GROUND, picture_of
from napari_samv1.storage.session.record import PlaneRecord, PlaneSource


def plane(shape, boxes, beneath=None) -> PlaneRecord:
    pieces = []
    for number, (rows, columns) in boxes.items():
        mask = np.zeros(shape, dtype=bool)
        mask[rows, columns] = True
        crop = MaskCrop.from_mask(mask)
        pieces.append(Piece(number, painted_in=crop, mask=crop))
    return PlaneRecord(PlaneSource("x", shape, "uint8"), shape, tuple(pieces), tuple(boxes), beneath)


def test_objects_are_coloured_each_its_own_and_existing_labels_are_grey():
    beneath = np.zeros((40, 80), np.uint16)
    beneath[30:, 70:] = 9
    boxes = {1: (slice(0, 20), slice(0, 40)), 2: (slice(0, 20), slice(40, 80))}
    picture = picture_of(plane((40, 80), boxes, beneath), 20)
    assert picture.shape == (20, 20, 3)
    # 80 columns on 20: the image is 10 rows high, in the middle
    assert (picture[:5] == GROUND).all()
    assert (picture[15:] == GROUND).all()
    one, two = picture[6, 2], picture[6, 17]
    assert len({tuple(one), tuple(two), GROUND, EXISTING}) == 4
    assert (picture[5:10, :10] == one).all()
    assert (picture[5:10, 10:] == two).all()
    assert tuple(picture[14, 19]) == EXISTING
    assert tuple(picture[14, 2]) == GROUND


def test_an_image_smaller_than_the_picture_fills_it():
    picture = picture_of(plane((4, 4), {1: (slice(0, 4), slice(0, 2))}), 20)
    assert not (picture[:, :10] == GROUND).all(axis=-1).any()
    assert (picture[:, 10:] == GROUND).all()


def test_a_very_thin_image_is_seen():
    picture = picture_of(plane((1, 500), {1: (slice(0, 1), slice(0, 500))}), 20)
    assert (~(picture == GROUND).all(axis=-1)).sum() == 20


def test_a_plane_larger_than_memory_has_a_picture():
    side = 2**31 - 1
    crop = MaskCrop((side // 2, 0), np.ones((1 << 10, 1 << 10), dtype=bool))
    whole = PlaneRecord(
        PlaneSource("x", (side, side), "uint8"), (side, side), (Piece(1, mask=crop, painted_in=crop),), (1,)
    )
    assert (picture_of(whole, 20) == GROUND).all()
    small = MaskCrop((0, 0), np.ones((300, 500), dtype=bool))
    half = plane((600, 500), {1: (slice(0, 300), slice(0, 500))})
    assert half.pieces[0].mask == small
    picture = picture_of(half, 20)
    assert (~(picture == GROUND).all(axis=-1)).sum() == 10 * 17
