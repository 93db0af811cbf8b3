"""The label image as a composite of objects, against one composed whole, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_samv1.masks.covered import Covered
from napari_samv1.masks.paint import Stack, compose, repaint
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.settings import KEEP, OVERWRITE, Rule

SHAPE = (7, 9)


def composed_slowly(beneath, stack):
    """The definition, read aloud."""
    image = beneath.copy()
    for label, crop, rule in stack:
        for y, x in np.argwhere(crop.to_mask(image.shape)):
            if (
                rule.kind == "overwrite"
                or (rule.kind == "keep" and beneath[y, x] == 0)
                or (rule.kind == "inside" and rule.label in (beneath[y, x], image[y, x]))
            ):
                image[y, x] = label
    return image


class Canvas:
    """A label image that is only ever changed by patches."""

    def __init__(self, beneath):
        self.labels = np.array(beneath)
        self.stack = []
        self.covered = Covered()
        self.last = None

    def put(self, painted, *, lowest=False, **options):
        places = [label for label, _, _ in self.stack]
        stack = list(self.stack)
        if painted[0] in places:
            stack[places.index(painted[0])] = painted
        else:
            stack.insert(0 if lowest else len(stack), painted)
        self.become(stack, [painted[0]], **options)

    def remove(self, *labels):
        self.become([painted for painted in self.stack if painted[0] not in labels], labels)

    def to_the_top(self, label):
        top = [painted for painted in self.stack if painted[0] == label]
        self.become([painted for painted in self.stack if painted[0] != label] + top, [label])

    def become(self, stack, changed, **options):
        before = self.labels.copy()
        self.last = repaint(self.labels, Stack(self.stack), Stack(stack), changed, self.covered, **options)
        np.testing.assert_array_equal(self.labels, before)
        for patch in self.last.patches:
            self.labels[patch.region][patch.changed] = patch.values[patch.changed]
        self.stack, self.covered = stack, self.last.covered


def rectangle(label, y0, x0, y1, x1, rule=KEEP):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return label, MaskCrop.from_mask(mask), rule


rules = st.one_of(
    st.sampled_from([KEEP, OVERWRITE]), st.integers(1, 6).map(lambda label: Rule("inside", label))
)
boxes = st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(1, 7), st.integers(1, 9))
crops = st.one_of(
    hnp.arrays(bool, SHAPE, elements=st.booleans()).map(MaskCrop.from_mask),
    boxes.map(lambda box: rectangle(1, *box)[1]),
)
objects = st.tuples(st.integers(1, 4), crops, rules)
stacks = st.lists(objects, max_size=4, unique_by=lambda painted: painted[0])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), objects),
        st.tuples(st.just("remove"), st.integers(1, 4)),
        st.tuples(st.just("to the top"), st.integers(1, 4)),
        st.tuples(st.just("become"), stacks),
    ),
    max_size=10,
)


@settings(deadline=None)
@given(beneath=hnp.arrays(np.uint16, SHAPE, elements=st.integers(0, 6)), stack=stacks, data=st.data())
def test_a_composed_region_is_part_of_the_whole(beneath, stack, data):
    before = beneath.copy()
    y0, x0 = data.draw(st.integers(0, SHAPE[0])), data.draw(st.integers(0, SHAPE[1]))
    composed = compose(beneath[y0:, x0:], (y0, x0), stack)
    assert composed.dtype == beneath.dtype
    np.testing.assert_array_equal(composed, composed_slowly(beneath, stack)[y0:, x0:])
    np.testing.assert_array_equal(beneath, before)


@settings(deadline=None, max_examples=400)
@given(beneath=hnp.arrays(np.uint16, SHAPE, elements=st.integers(0, 6)), steps=steps)
def test_any_history_ends_in_the_whole_composite(beneath, steps):
    """Labels from elsewhere share the objects' labels here, and still nothing is lost."""
    canvas = Canvas(beneath)
    for what, which in steps:
        if what == "put":
            canvas.put(which)
        elif what == "remove":
            canvas.remove(which)
        elif what == "to the top":
            canvas.to_the_top(which)
        else:
            canvas.become(which, range(1, 5))
        np.testing.assert_array_equal(canvas.labels, composed_slowly(beneath, canvas.stack))
    canvas.remove(1, 2, 3, 4)
    np.testing.assert_array_equal(canvas.labels, beneath)
    assert not canvas.covered.tiles


@settings(deadline=None)
@given(beneath=hnp.arrays(np.int32, SHAPE, elements=st.integers(0, 6)), old=objects, new=objects)
def test_only_pixels_that_differ_are_marked_as_changed(beneath, old, new):
    canvas = Canvas(beneath)
    canvas.put(old)
    before = canvas.labels.copy()
    canvas.put(new)
    marked = np.zeros(SHAPE, dtype=bool)
    for patch in canvas.last.patches:
        marked[patch.region] |= patch.changed
    np.testing.assert_array_equal(marked, canvas.labels != before)


def test_a_higher_object_covers_a_lower_one():
    canvas = Canvas(np.zeros(SHAPE, int))
    canvas.put(rectangle(1, 0, 0, 4, 4))
    canvas.put(rectangle(2, 2, 2, 6, 6), lowest=True)
    assert (canvas.labels[:4, :4] == 1).all()
    assert canvas.labels[5, 5] == 2


def test_a_lower_object_comes_back_where_a_higher_one_gives_up():
    canvas = Canvas(np.zeros(SHAPE, int))
    canvas.put(rectangle(1, 0, 0, 4, 4))
    canvas.put(rectangle(2, 2, 2, 6, 6), lowest=True)
    canvas.put(rectangle(1, 0, 0, 2, 2))
    assert (canvas.labels[2:6, 2:6] == 2).all()


def test_a_label_from_elsewhere_returns_when_what_overwrote_it_shrinks():
    canvas = Canvas(np.full(SHAPE, 9))
    canvas.put(rectangle(1, 0, 0, 4, 4, OVERWRITE))
    assert canvas.labels[3, 3] == 1
    canvas.put(rectangle(1, 0, 0, 2, 2, OVERWRITE))
    assert canvas.labels[3, 3] == 9
    assert canvas.labels[1, 1] == 1


def test_keep_leaves_labels_from_elsewhere():
    canvas = Canvas(np.repeat([[0, 5, 5, 7, 0, 5, 5, 7, 0]], 7, axis=0))
    canvas.put(rectangle(1, 0, 0, 7, 9))
    np.testing.assert_array_equal(canvas.labels[0], [1, 5, 5, 7, 1, 5, 5, 7, 1])


def test_inside_a_chosen_label_nothing_else_is_touched():
    canvas = Canvas(np.repeat([[0, 5, 5, 7, 0, 5, 5, 7, 0]], 7, axis=0))
    canvas.put(rectangle(1, 0, 0, 7, 9, Rule("inside", 5)))
    np.testing.assert_array_equal(canvas.labels[0], [0, 1, 1, 7, 0, 1, 1, 7, 0])


def test_inside_another_object_follows_that_object():
    canvas = Canvas(np.zeros(SHAPE, int))
    canvas.put(rectangle(1, 0, 0, 7, 4))
    canvas.put(rectangle(2, 2, 2, 4, 9, Rule("inside", 1)))
    np.testing.assert_array_equal(canvas.labels[3], [1, 1, 2, 2, 0, 0, 0, 0, 0])
    canvas.put(rectangle(1, 0, 0, 7, 6))
    np.testing.assert_array_equal(canvas.labels[3], [1, 1, 2, 2, 2, 2, 0, 0, 0])


def test_an_adopted_label_is_the_objects_own():
    labels = np.zeros(SHAPE, int)
    labels[1:4, 1:4] = 3
    for adopted, rest in (([3], 0), ([], 3)):
        canvas = Canvas(labels)
        canvas.put(rectangle(3, 1, 1, 4, 4), adopted=adopted)
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
    here = (1, MaskCrop((0, 0), square), KEEP)
    there = (1, MaskCrop((8000, 8000), square), KEEP)
    painting = repaint(labels, Stack([here]), Stack([there]), [1], Covered())
    assert len(painting.patches) == 2
    assert labels.read == 200


def test_a_small_correction_of_a_large_object_reads_the_difference():
    labels = CountingLabels((2000, 2000))
    mask = np.ones((1000, 1000), dtype=bool)
    large = (1, MaskCrop((100, 100), mask), KEEP)
    bitten = mask.copy()
    bitten[500:505, 500:507] = False
    repaint(labels, Stack([large]), Stack([(1, MaskCrop((100, 100), bitten), KEEP)]), [1], Covered())
    assert labels.read == 35


def test_a_covering_across_tiles_is_remembered_and_forgotten():
    labels = np.full((600, 700), 9, dtype=np.int32)
    everything = (2, MaskCrop.from_mask(np.ones((600, 700), dtype=bool)), OVERWRITE)
    painting = repaint(labels, Stack(), Stack([everything]), [2], Covered())
    region = (slice(250, 530), slice(10, 700))
    np.testing.assert_array_equal(painting.covered.within(region, labels.dtype), 9)
    assert not Covered().within(region, labels.dtype).any()
    painted = np.full_like(labels, 2)
    back = repaint(painted, Stack([everything]), Stack(), [2], painting.covered)
    assert (back.patches[0].values == 9).all()
    assert not back.covered.tiles
    assert painting.covered.tiles


def test_labels_that_do_not_fit_are_refused():
    square = MaskCrop((0, 0), np.ones((2, 2), dtype=bool))
    with pytest.raises(ValueError, match="label 300 does not fit into uint8, which ends at 255"):
        repaint(np.zeros((5, 5), np.uint8), Stack(), Stack([(300, square, KEEP)]), [300], Covered())
    with pytest.raises(ValueError, match="must hold integers, got float64"):
        repaint(np.zeros((5, 5)), Stack(), Stack([(3, square, KEEP)]), [3], Covered())
    with pytest.raises(ValueError, match="outside a label image of shape"):
        repaint(np.zeros((1, 5), int), Stack(), Stack([(3, square, KEEP)]), [3], Covered())


@pytest.mark.parametrize(
    ("arguments", "message"), [(("under",), "rule must be"), (("inside",), "needs a label")]
)
def test_impossible_rules_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Rule(*arguments)


def test_a_changed_stack_is_the_one_made_anew():
    one, two, three = rectangle(1, 0, 0, 2, 2), rectangle(2, 3, 3, 6, 7), rectangle(3, 1, 1, 4, 4)
    elsewhere = rectangle(2, 0, 5, 1, 7)
    stack = Stack([one, two])
    for anew, changes in (
        ([one, elsewhere], {2: elsewhere}),
        ([two, one], {}),
        ([three, one, two], {3: three}),
        ([two], {}),
        ([], {}),
        ([three], {3: three}),
    ):
        changed = stack.changed(tuple(label for label, *_ in anew), changes)
        assert list(changed.order) == [label for label, *_ in anew]
        assert [changed.by_label[label] for label in changed.order] == anew
        for top, left in np.ndindex(7, 8):
            pixel = slice(top, top + 1), slice(left, left + 1)
            assert changed.meeting(pixel) == Stack(anew).meeting(pixel)
    assert stack.order == (1, 2)
    assert [stack.by_label[label] for label in stack.order] == [one, two]
    assert Stack().changed((3,), {3: three}).meeting((slice(1, 2), slice(1, 2))) == [three]
