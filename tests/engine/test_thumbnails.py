from __future__ import annotations

import numpy as np
import pytest

from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.thumbnails import thumbnails
from napari_samv1.records.frame import Frame

COLOUR = (200, 100, 0)


def squares(image_hw, boxes, *, side=64, islands=()) -> Prediction:
    """Logits of +9 in a box (y0, x0, y1, x1) of image pixels for each mask, and in all islands; else -9."""
    frame = Frame.plan(image_hw, side=side, patch=16)
    height, width = frame.logits_hw
    centres = frame.from_logits_yx(np.stack([np.arange(max(height, width))] * 2, axis=1))
    rows, columns = centres[:height, 0][:, None], centres[:width, 1]
    logits = np.full((4, height, width), -9.0, dtype=np.float32)
    for index, box in enumerate(boxes):
        for y0, x0, y1, x1 in (box, *islands):
            logits[index][(rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)] = 9
    return Prediction(logits, np.full(4, 0.5, np.float32), frame, ambiguous=False)


def coloured(picture) -> float:
    """The part of a picture that is in the mask's colour, on a black ground."""
    return float((picture[..., 0] > 50).mean())


def black(rows, columns):
    return np.zeros((len(rows), len(columns)), dtype=np.uint8)


def test_all_four_show_the_same_part_and_differ_as_the_masks_do():
    boxes = [(64, 64, 128, 128), (64, 64, 96, 128), (64, 64, 96, 96), (80, 80, 112, 112)]
    made = thumbnails(squares((256, 256), boxes), chosen=0, side=64, colour=COLOUR, glimpse=black)
    assert made.pictures.shape == (4, 64, 64, 3)
    parts = [coloured(picture) for picture in made.pictures]
    assert parts[1] / parts[0] == pytest.approx(1 / 2, abs=0.1)
    assert parts[2] / parts[0] == pytest.approx(1 / 4, abs=0.1)
    assert parts[3] / parts[0] == pytest.approx(1 / 4, abs=0.1)
    # the largest mask and its margin fill the picture
    assert 0.35 < parts[0] < 0.75


def test_the_areas_are_counted_on_the_image():
    boxes = [(64, 64, 128, 128), (64, 64, 96, 128), (64, 64, 96, 96), (0, 0, 0, 0)]
    prediction = squares((256, 256), boxes)
    expected = tuple(int(prediction.mask(index).sum()) for index in range(4))
    assert thumbnails(prediction, chosen=0).areas == expected
    assert expected[3] == 0


def test_islands_far_away_do_not_make_the_object_tiny():
    boxes = [(100, 100, 140, 140)] * 4
    alone = thumbnails(squares((512, 512), boxes, side=128), chosen=0, colour=COLOUR, glimpse=black)
    split = squares((512, 512), boxes, side=128, islands=[(480, 480, 496, 496)])
    beside = thumbnails(split, chosen=0, colour=COLOUR, glimpse=black)
    np.testing.assert_array_equal(alone.pictures, beside.pictures)


def test_the_ground_is_the_image_where_the_object_lies():
    image = np.zeros((256, 256), dtype=np.uint8)
    image[:, 128:] = 200
    boxes = [(96, 96, 160, 160)] * 4
    made = thumbnails(
        squares((256, 256), boxes),
        chosen=0,
        side=64,
        colour=(0, 0, 0),
        glimpse=lambda rows, columns: image[np.ix_(rows, columns)],
    )
    # dark left of the middle, bright right of it, half as bright in the mask's black
    middle = made.pictures[0][32, :, 0].astype(int)
    assert middle[:30].max() == 0
    assert middle[-2] == 120
    assert middle[40] == 100


@pytest.mark.parametrize("where", [(0, 0, 24, 24), (170, 280, 200, 300)])
def test_an_object_in_a_corner_of_the_image_is_whole(where):
    prediction = squares((200, 300), [where] * 4)
    seen: list[np.ndarray] = []
    made = thumbnails(
        prediction,
        chosen=0,
        colour=COLOUR,
        glimpse=lambda rows, columns: seen.extend((rows, columns)) or black(rows, columns),
    )
    assert coloured(made.pictures[0]) > 0.2
    assert min(seen[0].min(), seen[1].min()) >= 0
    assert seen[0].max() < 200
    assert seen[1].max() < 300


def test_without_any_mask_the_whole_image_is_shown():
    prediction = squares((64, 96), [(0, 0, 0, 0)] * 4)
    made = thumbnails(prediction, chosen=1, colour=COLOUR, glimpse=black)
    assert made.areas == (0, 0, 0, 0)
    assert coloured(made.pictures) == 0


def test_pixels_that_are_not_numbers_are_no_error():
    nothing = np.full((256, 256), np.nan)
    made = thumbnails(
        squares((256, 256), [(64, 64, 128, 128)] * 4),
        chosen=0,
        glimpse=lambda rows, columns: nothing[np.ix_(rows, columns)],
        intensity=(0.0, 1.0),
    )
    assert made.pictures.any()


# in logits, of four pixels each: 40 x 40; a row less, 0.975 of it; a small one; the first again
ALIKE = [(0, 0, 160, 160), (4, 0, 160, 160), (0, 0, 80, 80), (0, 0, 160, 160)]


@pytest.mark.parametrize(("chosen", "like"), [(0, (0, 0, 2, 0)), (1, (1, 1, 2, 1)), (2, (0, 0, 2, 0))])
def test_masks_that_hardly_differ_are_told(chosen, like):
    prediction = squares((256, 256), ALIKE, side=256)
    assert thumbnails(prediction, chosen=chosen).like == like


def test_empty_masks_are_alike():
    nothing = (0, 0, 0, 0)
    prediction = squares((256, 256), [(64, 64, 128, 128), nothing, nothing, nothing])
    assert thumbnails(prediction, chosen=0).like == (0, 1, 1, 1)
