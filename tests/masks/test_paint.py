"""The label image as a composite of objects, against one composed whole, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_samv1.masks import Covered, MaskCrop, PaintedObject, repaint

SHAPE = (7, 9)


def composed_slowly(elsewhere, objects):
    """The definition, read aloud."""
    image = elsewhere.copy()
    for painted in objects:
        mask = painted.crop.to_mask(image.shape)
        for y, x in np.argwhere(mask):
            if (
                painted.rule == "overwrite"
                or (painted.rule == "keep" and image[y, x] == 0)
                or (painted.rule == "inside" and image[y, x] == painted.inside)
            ):
                image[y, x] = painted.label
    return image


class Canvas:
    """A label image that is only ever changed by patches."""

    def __init__(self, elsewhere):
        self.labels = np.array(elsewhere)
        self.objects = []
        self.covered = Covered()
        self.last = None

    def put(self, painted, **options):
        kept = list(self.objects)
        places = [o.label for o in kept]
        if painted.label in places:
            kept[places.index(painted.label)] = painted
        else:
            kept.append(painted)
        self.become(kept, painted.label, **options)

    def remove(self, label):
        self.become([o for o in self.objects if o.label != label], label)

    def become(self, objects, label, **options):
        before = self.labels.copy()
        self.last = repaint(self.labels, self.objects, objects, label, self.covered, **options)
        np.testing.assert_array_equal(self.labels, before)
        for patch in self.last.patches:
            self.labels[patch.region][patch.changed] = patch.values[patch.changed]
        self.objects, self.covered = objects, self.last.covered


def rectangle(label, y0, x0, y1, x1, rule="keep", inside=None):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return PaintedObject(label, MaskCrop.from_mask(mask), rule, inside)


rules = st.one_of(
    st.tuples(st.sampled_from(["keep", "overwrite"]), st.none()),
    st.tuples(st.just("inside"), st.integers(0, 6)),
)
boxes = st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(1, 7), st.integers(1, 9))
crops = st.one_of(
    hnp.arrays(bool, SHAPE, elements=st.booleans()).map(MaskCrop.from_mask),
    boxes.map(lambda box: rectangle(1, *box).crop),
)
objects = st.builds(
    lambda label, crop, rule: PaintedObject(label, crop, *rule), st.integers(1, 4), crops, rules
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), objects),
        st.tuples(st.just("remove"), st.integers(1, 4)),
        st.tuples(st.just("to the top"), st.integers(1, 4)),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=400)
@given(elsewhere=hnp.arrays(np.uint16, SHAPE, elements=st.integers(0, 6)), steps=steps)
def test_any_history_ends_in_the_whole_composite(elsewhere, steps):
    """Labels from elsewhere share the objects' labels here, and still nothing is lost."""
    canvas = Canvas(elsewhere)
    for what, which in steps:
        if what == "put":
            canvas.put(which)
        elif what == "remove":
            canvas.remove(which)
        else:
            above = [o for o in canvas.objects if o.label == which]
            canvas.become([o for o in canvas.objects if o.label != which] + above, which)
        np.testing.assert_array_equal(canvas.labels, composed_slowly(elsewhere, canvas.objects))
    for painted in list(canvas.objects):
        canvas.remove(painted.label)
    np.testing.assert_array_equal(canvas.labels, elsewhere)
    assert not canvas.covered.tiles


@settings(deadline=None)
@given(elsewhere=hnp.arrays(np.int32, SHAPE, elements=st.integers(0, 6)), old=objects, new=objects)
def test_only_pixels_that_differ_are_marked_as_changed(elsewhere, old, new):
    canvas = Canvas(elsewhere)
    canvas.put(old)
    before = canvas.labels.copy()
    canvas.put(new)
    marked = np.zeros(SHAPE, dtype=bool)
    for patch in canvas.last.patches:
        marked[patch.region] |= patch.changed
    np.testing.assert_array_equal(marked, canvas.labels != before)


def test_the_earlier_object_keeps_its_pixels():
    canvas = Canvas(np.zeros(SHAPE, int))
    canvas.put(rectangle(1, 0, 0, 4, 4))
    canvas.put(rectangle(2, 2, 2, 6, 6))
    assert (canvas.labels[:4, :4] == 1).all()
    assert canvas.labels[5, 5] == 2


def test_an_object_gets_back_what_its_neighbour_gives_up():
    canvas = Canvas(np.zeros(SHAPE, int))
    canvas.put(rectangle(1, 0, 0, 4, 4))
    canvas.put(rectangle(2, 2, 2, 6, 6))
    canvas.put(rectangle(1, 0, 0, 2, 2))
    assert (canvas.labels[2:6, 2:6] == 2).all()


def test_a_label_from_elsewhere_returns_when_what_overwrote_it_shrinks():
    canvas = Canvas(np.full(SHAPE, 9))
    canvas.put(rectangle(1, 0, 0, 4, 4, "overwrite"))
    assert canvas.labels[3, 3] == 1
    canvas.put(rectangle(1, 0, 0, 2, 2, "overwrite"))
    assert canvas.labels[3, 3] == 9
    assert canvas.labels[1, 1] == 1


def test_inside_a_chosen_label_nothing_else_is_touched():
    canvas = Canvas(np.repeat([[0, 5, 5, 7, 0, 5, 5, 7, 0]], 7, axis=0))
    canvas.put(rectangle(1, 0, 0, 7, 9, "inside", 5))
    np.testing.assert_array_equal(canvas.labels[0], [0, 1, 1, 7, 0, 1, 1, 7, 0])


def test_inside_another_object_follows_that_object():
    canvas = Canvas(np.zeros(SHAPE, int))
    canvas.put(rectangle(1, 0, 0, 7, 4))
    canvas.put(rectangle(2, 2, 2, 4, 9, "inside", 1))
    np.testing.assert_array_equal(canvas.labels[3], [1, 1, 2, 2, 0, 0, 0, 0, 0])
    canvas.put(rectangle(1, 0, 0, 7, 6))
    np.testing.assert_array_equal(canvas.labels[3], [1, 1, 2, 2, 2, 2, 0, 0, 0])


def test_an_adopted_label_is_the_objects_own():
    labels = np.zeros(SHAPE, int)
    labels[1:4, 1:4] = 3
    for adopt, rest in ((True, 0), (False, 3)):
        canvas = Canvas(labels)
        canvas.put(rectangle(3, 1, 1, 4, 4), adopt=adopt)
        np.testing.assert_array_equal(canvas.labels, labels)
        canvas.put(rectangle(3, 1, 1, 2, 2))
        assert canvas.labels[1, 1] == 3
        assert canvas.labels[3, 3] == rest


def test_pixels_that_a_brush_changed_meanwhile_are_left_alone():
    canvas = Canvas(np.zeros(SHAPE, int))
    canvas.put(rectangle(1, 0, 0, 4, 4))
    canvas.labels[0, 0] = 8
    canvas.put(rectangle(1, 0, 0, 4, 6))
    assert canvas.labels[0, 0] == 8


def test_an_unchanged_object_gives_no_patch():
    canvas = Canvas(np.zeros(SHAPE, int))
    canvas.put(rectangle(1, 0, 0, 4, 4))
    canvas.put(rectangle(1, 0, 0, 4, 4))
    assert canvas.last.patches == ()


class CountingLabels:
    """Says how many pixels of a large image were read."""

    def __init__(self, shape):
        self.shape, self.dtype, self.read = shape, np.dtype(np.uint16), 0

    def __getitem__(self, region):
        size = tuple(extent.stop - extent.start for extent in region)
        self.read += size[0] * size[1]
        return np.zeros(size, self.dtype)


def test_an_object_that_jumps_across_a_large_image_costs_two_small_regions():
    labels = CountingLabels((8192, 8192))
    square = np.ones((10, 10), dtype=bool)
    here = PaintedObject(1, MaskCrop((0, 0), square))
    there = replace(here, crop=MaskCrop((8000, 8000), square))
    painting = repaint(labels, [here], [there], 1, Covered())
    assert len(painting.patches) == 2
    assert labels.read == 200


def test_a_small_correction_of_a_large_object_reads_the_difference():
    labels = CountingLabels((2000, 2000))
    mask = np.ones((1000, 1000), dtype=bool)
    large = PaintedObject(1, MaskCrop((100, 100), mask))
    bitten = mask.copy()
    bitten[500:505, 500:507] = False
    repaint(labels, [large], [replace(large, crop=MaskCrop((100, 100), bitten))], 1, Covered())
    assert labels.read == 35


def test_a_covering_across_tiles_is_remembered_and_forgotten():
    labels = np.full((600, 700), 9, dtype=np.int32)
    everything = PaintedObject(2, MaskCrop.from_mask(np.ones((600, 700), dtype=bool)), "overwrite")
    painting = repaint(labels, [], [everything], 2, Covered())
    region = (slice(250, 530), slice(10, 700))
    np.testing.assert_array_equal(painting.covered.within(region, labels.dtype), 9)
    assert not Covered().within(region, labels.dtype).any()
    painted = np.full_like(labels, 2)
    back = repaint(painted, [everything], [], 2, painting.covered)
    assert (back.patches[0].values == 9).all()
    assert not back.covered.tiles
    assert painting.covered.tiles


def test_labels_that_do_not_fit_are_refused():
    square = MaskCrop((0, 0), np.ones((2, 2), dtype=bool))
    with pytest.raises(ValueError, match="label 300 does not fit into uint8, which ends at 255"):
        repaint(np.zeros((5, 5), np.uint8), [], [PaintedObject(300, square)], 300, Covered())
    with pytest.raises(ValueError, match="must hold integers, got float64"):
        repaint(np.zeros((5, 5)), [], [PaintedObject(3, square)], 3, Covered())
    with pytest.raises(ValueError, match="outside a label image of shape"):
        repaint(np.zeros((1, 5), int), [], [PaintedObject(3, square)], 3, Covered())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "1 or more"),
        ((1, "under"), "rule must be"),
        ((1, "inside"), "needs the label"),
        ((1, "keep", 4), "only that"),
    ],
)
def test_impossible_objects_are_refused(arguments, message):
    label, *rest = arguments
    with pytest.raises(ValueError, match=message):
        PaintedObject(label, MaskCrop((0, 0), np.ones((2, 2), dtype=bool)), *rest)
