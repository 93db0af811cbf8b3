from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from napari.layers import Labels, Points, Shapes

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.carried import is_same_place, placement
from napari_samv1.layers.prompts.features import OBJECT, POLARITY

HW = (40, 60)


def areas(bound):
    ids, counts = np.unique(bound.labels.data, return_counts=True)
    return {int(one): int(count) for one, count in zip(ids, counts, strict=True) if one}


# From a click to labels


def test_a_click_makes_a_mask_in_a_new_labels_layer_under_the_prompts(viewer, canvas, bound, settle):
    points = bound.new_points()
    viewer.layers.selection.active = points
    canvas.click(points, 10, 20)
    assert settle() == []
    assert isinstance(bound.labels, Labels)
    expected = np.zeros(HW, dtype=np.uint16)
    expected[8:13, 18:23] = 1
    np.testing.assert_array_equal(bound.labels.data, expected)
    assert viewer.layers.selection.active is points
    assert viewer.layers.index(bound.labels) < viewer.layers.index(points)


def test_the_next_object_becomes_another_label(canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    assert bound.current.next() == 2
    canvas.click(points, 30, 40)
    settle()
    assert areas(bound) == {1: 25, 2: 25}
    assert list(points.features[OBJECT]) == [1, 2]


def test_moving_flipping_and_deleting_a_point_redraw_the_mask(canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    canvas.click(points, 10, 30)
    settle()
    assert areas(bound) == {1: 98}
    points.mode = "select"
    canvas.drag(points, (10, 30), (10, 32), (20, 40))
    settle()
    assert bound.labels.data[20, 40] == 1
    assert bound.labels.data[10, 30] == 0
    points.selected_data = {1}
    bound.edits.flip_polarity()
    settle()
    # two points are no longer ambiguous: candidate 0, which reaches 3 pixels
    assert areas(bound) == {1: 49}
    points.selected_data = {0}
    points.remove_selected()
    settle()
    assert areas(bound) == {}
    assert "background points only" in bound.current.piece.reason


def test_a_drag_is_followed_live_and_is_one_step_back(canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    points.mode = "select"
    seen = []

    def follow():
        settle()
        seen.append(tuple(np.argwhere(bound.labels.data).mean(axis=0)))

    canvas.drag(points, (10, 20), (12, 22), (15, 25), (20, 30), each=follow)
    settle()
    assert len(set(seen)) == 3
    bound.edits.undo()
    assert tuple(np.argwhere(bound.labels.data).mean(axis=0)) == (10, 20)
    np.testing.assert_allclose(points.data, [(10, 20)])


def test_a_rectangle_is_followed_while_it_is_drawn(canvas, bound, settle):
    shapes = bound.new_shapes()
    seen = []

    def follow():
        assert bound.prompts.is_drawing
        settle()
        height, width = np.ptp(shapes.data[-1], axis=0)
        mask = np.argwhere(bound.labels.data)
        np.testing.assert_allclose(np.ptp(mask, axis=0), (height, width), atol=1)
        seen.append((height, width))

    canvas.drag(shapes, (5, 5), (12, 15), (14, 18), (15, 20), each=follow)
    settle()
    assert not bound.prompts.is_drawing
    assert len(set(seen)) > 1
    assert areas(bound) == {1: 11 * 16}
    bound.edits.undo()
    assert areas(bound) == {}
    assert len(shapes.data) == 0
    bound.edits.redo()
    assert areas(bound) == {1: 11 * 16}
    np.testing.assert_allclose(np.ptp(shapes.data[0], axis=0), (10, 15))
    assert shapes.shape_type == ["rectangle"]


def test_equal_prompts_are_not_decoded_again_however_often_events_come(
    viewer, canvas, bound, settle, squares
):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    for _ in range(3):
        points.refresh()
        viewer.dims.events.point()
        settle()
    assert len(squares.decoded) == 1


def test_shift_click_adds_a_point_of_the_other_polarity(canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    canvas.click(points, 10, 30, modifiers=("Shift",))
    canvas.click(points, 10, 40)
    assert list(points.features[POLARITY]) == ["positive", "negative", "positive"]
    assert [str(symbol) for symbol in points.symbol] == ["disc", "cross", "disc"]
    assert bound.current.polarity == "positive"
    bound.current.polarity = "negative"
    canvas.click(points, 20, 40, modifiers=("Shift",))
    assert list(points.features[POLARITY])[-1] == "positive"
    assert bound.current.polarity == "negative"


def test_selecting_a_point_makes_its_object_current_but_keeps_the_polarity(canvas, bound, notices):
    points, shapes = bound.new_points(), bound.new_shapes()
    canvas.click(points, 10, 20)
    bound.current.next()
    bound.current.polarity = "negative"
    canvas.click(points, 30, 40)
    bound.current.polarity = "positive"
    notices.clear()
    points.selected_data = {0}
    assert (bound.current.number, bound.current.polarity) == (1, "positive")
    assert "on_current" in notices
    points.selected_data = {1}
    assert (bound.current.number, bound.current.polarity) == (2, "positive")
    assert shapes.feature_defaults[OBJECT].iloc[0] == 2
    points.selected_data = set()
    canvas.click(points, 5, 5)
    assert list(points.features[OBJECT]) == [1, 2, 2]
    assert list(points.features[POLARITY]) == ["positive", "negative", "positive"]


def test_features_set_in_the_layer_itself_are_followed(bound):
    points = bound.new_points()
    points.feature_defaults = {OBJECT: 4, POLARITY: "negative"}
    assert (bound.current.number, bound.current.polarity) == (4, "negative")


def test_flipping_without_a_selection_concerns_the_next_point(canvas, bound):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    # napari leaves the new point selected, but nobody chose it
    assert points.selected_data
    bound.edits.flip_polarity()
    canvas.click(points, 10, 30)
    assert list(points.features[POLARITY]) == ["positive", "negative"]


def test_remove_last_takes_the_newest_prompt_of_the_current_object(canvas, bound, settle):
    points, shapes = bound.new_points(), bound.new_shapes()
    canvas.click(points, 10, 20)
    canvas.drag(shapes, (5, 5), (15, 20))
    bound.current.next()
    canvas.click(points, 30, 40)
    bound.current.number = 1
    settle()
    assert bound.edits.remove_last() == ""
    assert (len(points.data), len(shapes.data)) == (1, 1) or (len(points.data), len(shapes.data)) == (2, 0)
    assert bound.edits.remove_last() == ""
    assert list(points.features[OBJECT]) == [2]
    assert len(shapes.data) == 0
    assert "no prompts" in bound.edits.remove_last()
    settle()
    assert areas(bound) == {2: 25}


def test_clearing_and_deleting_concern_one_object(canvas, bound, settle):
    points = bound.new_points()
    for object_id, where in ((1, (10, 20)), (2, (30, 40)), (3, (10, 50))):
        bound.current.number = object_id
        canvas.click(points, *where)
    settle()
    bound.current.number = 2
    bound.edits.clear()
    assert areas(bound) == {1: 25, 3: 25}
    assert bound.edits.delete(3) == ""
    assert areas(bound) == {1: 25}
    assert bound.shown.get(3) is None
    bound.edits.undo()
    assert areas(bound) == {1: 25, 3: 25}
    assert sorted(points.features[OBJECT]) == [1, 3]
    bound.edits.undo()
    assert areas(bound) == {1: 25, 2: 25, 3: 25}


def test_nothing_is_removed_while_a_shape_is_half_drawn(canvas, bound, settle):
    shapes = bound.new_shapes()
    said = []

    def interrupt():
        said.extend(
            [bound.edits.remove_last(), bound.edits.clear(), bound.edits.delete(1), bound.edits.undo()]
        )

    canvas.drag(shapes, (5, 5), (10, 12), each=interrupt)
    assert all("being drawn" in sentence for sentence in said)
    assert len(shapes.data) == 1
    assert bound.edits.remove_last() == ""


def test_a_choice_is_written_at_once(canvas, bound, settle, squares):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    assert bound.edits.set_settings(1, choice=3) == ""
    assert areas(bound) == {1: 81}
    assert len(squares.decoded) == 1
    bound.edits.undo()
    assert areas(bound) == {1: 25}
    assert len(points.data) == 1


def test_many_masks_are_written_at_once(canvas, bound, squares, embedding):
    points = bound.new_points()
    labels = bound.new_labels()
    for object_id, where in ((1, (10, 20)), (2, (30, 40)), (3, (10, 50))):
        bound.current.number = object_id
        canvas.click(points, *where)
    bound.sync()
    redrawn = []
    labels.events.set_data.connect(lambda: redrawn.append(1))
    assert bound.edits.accept(run_each(squares, bound.edits.jobs(embedding))) == ""
    assert areas(bound) == {1: 25, 2: 25, 3: 25}
    assert len(redrawn) == 1


def test_a_failed_decoding_is_said_and_the_next_prompt_works(canvas, bound, settle, squares):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    squares.fails_with = RuntimeError("no memory left")
    [sentence] = settle()
    assert "no memory left" in sentence
    squares.fails_with = None
    canvas.click(points, 10, 30)
    assert settle() == []
    assert areas(bound) == {1: 98}


# Planes


def test_without_a_plane_there_is_a_sentence_and_no_exception(viewer, bound):
    bound.new_points()
    viewer.dims.ndisplay = 3
    assert "2D view" in bound.sync().problem
    assert bound.shown is None
    assert bound.current.piece is None
    assert bound.edits.clear() != ""
    bound.image = None
    assert "Choose an image" in bound.sync().problem
    with pytest.raises(NoPlaneError):
        bound.screen.plane()


def test_each_slice_has_its_own_objects_and_keeps_them(viewer, canvas, squares, bound, settle):
    bound.image = viewer.add_image(np.zeros((3, *HW), dtype=np.uint8))
    viewer.dims.set_point(0, 0)
    points = bound.new_points()
    points.add((0, 10, 20))
    settle()
    first = bound.shown.get(1)
    viewer.dims.set_point(0, 2)
    settle()
    assert not bound.shown.objects
    points.add((2, 30, 40))
    settle()
    # another object on another slice has another number
    assert list(bound.shown.objects) == [2]
    assert [int(np.count_nonzero(plane)) for plane in bound.labels.data] == [25, 0, 25]
    viewer.dims.set_point(0, 0)
    settle()
    assert bound.shown.get(1) is first
    assert [int(np.count_nonzero(plane)) for plane in bound.labels.data] == [25, 0, 25]
    assert len(squares.decoded) == 2


def test_a_mask_that_arrives_after_the_slider_moved_goes_to_its_own_slice(
    viewer, bound, settle, squares, embedding
):
    bound.image = viewer.add_image(np.zeros((3, *HW), dtype=np.uint8))
    viewer.dims.set_point(0, 0)
    bound.new_points().add((0, 10, 20))
    bound.sync()
    [job] = bound.edits.jobs(embedding)
    viewer.dims.set_point(0, 2)
    bound.sync()
    [result] = run_each(squares, [job])
    assert bound.edits.accept([result]) == ""
    assert bound.labels is not None
    assert np.count_nonzero(bound.labels.data[0]) == 25
    assert np.count_nonzero(bound.labels.data[2]) == 0


def test_contrast_and_slices_are_told_and_keep_the_masks(viewer, canvas, bound, settle, notices):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    key = bound.screen.plane().key
    notices.clear()
    bound.image.contrast_limits = (3, 9)
    assert "on_plane" in notices
    assert bound.screen.plane().key == key
    settle()
    assert areas(bound) == {1: 25}


def test_other_data_in_the_image_is_another_plane(canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    before = bound.shown
    bound.image.data = np.ones(HW, dtype=np.uint8)
    assert bound.shown is not before
    settle()
    assert areas(bound) == {1: 25}


def test_a_transform_that_changes_moves_prompts_and_masks(canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    points.translate = (5, 0)
    settle()
    assert tuple(np.argwhere(bound.labels.data).mean(axis=0)) == (15, 20)
    # half the size, over the whole image still: the mask is written anew through the transform
    bound.labels.scale = (2, 2)
    settle()
    assert bound.masks.redraw() == ""


@pytest.mark.parametrize(
    "change",
    [
        {"scale": (0.5, 0.25)},
        {"translate": (7, -3)},
        {"rotate": 30},
        {"affine": [[0, 2, 1], [1, 0, 0], [0, 0, 1]]},
    ],
)
def test_layers_on_an_image_stay_on_it_when_it_moves(canvas, bound, settle, change):
    points, shapes = bound.new_points(), bound.new_shapes()
    canvas.click(points, 10, 20)
    settle()
    labels, before = bound.labels.data.copy(), bound.shown.objects
    image = bound.image
    kept = {name: getattr(image, name) for name in change}
    undoable = bound.document.undo_label
    for state in (change, kept):
        for name, value in state.items():
            setattr(image, name, value)
        assert settle() == []
        assert bound.shown.objects == before
        assert np.array_equal(bound.labels.data, labels)
        for layer in (points, shapes, bound.labels):
            assert is_same_place(placement(layer), placement(image))
    assert bound.document.undo_label == undoable


def test_layers_follow_an_image_that_moved_while_another_was_chosen(viewer, canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    before, image = bound.shown.objects, bound.image
    bound.image = viewer.add_image(np.zeros((40, 60), np.uint8), name="other", translate=(100, 0))
    settle()
    image.scale = (0.5, 0.5)
    bound.image = image
    assert bound.points is points
    assert settle() == []
    assert bound.shown.objects == before


def test_moved_prompts_are_a_step_that_undo_takes_back(canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    points.translate = (500, 0)
    settle()
    assert areas(bound) == {}
    bound.edits.undo()
    settle()
    assert areas(bound) == {1: 25}
    assert bound.shown.objects[1].prompts.points_yx.tolist() == [[10, 20]]


# Layers that the user brings, renames, reorders and deletes


def test_a_renamed_and_reordered_layer_stays_bound(viewer, canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    for layer in list(viewer.layers):
        layer.name = "x"
    viewer.layers.reverse()
    canvas.click(points, 10, 30)
    settle()
    assert areas(bound) == {1: 98}


@pytest.mark.parametrize("stage", ["new", "prompted", "asked", "answered"])
@pytest.mark.parametrize("role", ["image", "points", "shapes", "labels"])
def test_any_layer_may_be_deleted_at_any_stage(viewer, canvas, bound, squares, embedding, role, stage):
    points, shapes = bound.new_points(), bound.new_shapes()
    bound.new_labels()
    jobs = []
    if stage != "new":
        canvas.click(points, 10, 20)
        canvas.drag(shapes, (20, 20), (30, 40))
    if stage in ("asked", "answered"):
        bound.sync()
        jobs = bound.edits.jobs(embedding)
    if stage == "answered":
        for result in run_each(squares, jobs):
            bound.edits.accept([result])
    layer = getattr(bound, role)
    viewer.layers.remove(layer)
    assert getattr(bound, role) is None
    for result in run_each(squares, jobs):
        assert bound.edits.accept([result]) == ""
    bound.sync()
    bound.edits.remove_last()
    bound.current.next()
    bound.edits.flip_polarity()
    bound.edits.clear()
    bound.edits.undo()
    bound.edits.redo()
    bound.masks.redraw()
    layer.events.set_data()
    if role != "image":
        getattr(bound, f"new_{role}")()
        bound.current.number = 1
        bound.sync()
        for result in run_each(squares, bound.edits.jobs(embedding)):
            assert bound.edits.accept([result]) == ""


def test_a_deleted_layer_is_told(viewer, bound, notices):
    bound.new_points()
    notices.clear()
    viewer.layers.remove(bound.points)
    assert "on_layers" in notices


def test_deleted_labels_return_whole_with_the_next_prompt_only(
    viewer, canvas, bound, settle, squares, embedding
):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    bound.current.next()
    canvas.click(points, 30, 40)
    bound.sync()
    jobs = bound.edits.jobs(embedding)
    viewer.layers.remove(bound.labels)
    for result in run_each(squares, jobs):
        bound.edits.accept([result])
    assert bound.labels is None
    canvas.click(points, 30, 50)
    settle()
    assert areas(bound) == {1: 25, 2: 98}


def test_another_labels_layer_gets_all_objects(viewer, canvas, bound, settle):
    points = bound.new_points()
    canvas.click(points, 10, 20)
    settle()
    bound.labels = viewer.add_labels(np.zeros(HW, dtype=np.int64))
    assert areas(bound) == {1: 25}


def test_a_new_object_gets_no_number_that_the_labels_use(viewer, canvas, bound, settle):
    data = np.zeros(HW, dtype=np.uint16)
    data[30:35, 2:7] = 6
    bound.labels = viewer.add_labels(data)
    assert bound.current.number == 7
    canvas.click(bound.new_points(), 10, 20)
    settle()
    assert areas(bound) == {6: 25, 7: 25}
    assert bound.current.next() == 8


def test_labels_that_cannot_take_the_mask_are_told_and_the_mask_is_kept(viewer, canvas, bound, settle):
    small = viewer.add_labels(np.zeros(HW, dtype=np.uint8))
    bound.labels = small
    bound.current.number = 300
    canvas.click(bound.new_points(), 10, 20)
    [sentence] = settle()
    assert "Object 300 does not fit" in sentence
    bound.labels = viewer.add_labels(np.zeros(HW, dtype=np.uint16))
    assert areas(bound) == {300: 25}


def test_the_users_own_layers_can_be_bound(viewer, canvas, bound, settle):
    points = viewer.add_points([(10, 20)], size=3)
    shapes = viewer.add_shapes([[[20, 20], [30, 40]]], shape_type="rectangle")
    bound.current.number = 5
    bound.points, bound.shapes = points, shapes
    settle()
    assert set(areas(bound)) == {5}
    assert not bound.document.undo_label


def test_an_unbound_layer_is_no_longer_followed(viewer, canvas, bound, settle, notices):
    old = bound.new_points()
    bound.points = viewer.add_points(ndim=2)
    notices.clear()
    old.mode = "add"
    canvas.click(old, 10, 20, modifiers=("Shift",))
    assert notices == []
    assert len(old.mouse_drag_callbacks) == 1


def test_closing_lets_go_of_everything(viewer, canvas, notices):
    binding = AnnotationBinding(viewer, on_prompts=lambda: notices.append("prompts"))
    # without a name napari looks for one in this frame, whose copied locals would keep the binding
    binding.image = viewer.add_image(np.zeros(HW, dtype=np.uint8), name="coins")
    points, shapes = binding.new_points(), binding.new_shapes()
    binding.new_labels()
    binding.close()
    binding.close()
    notices.clear()
    canvas.click(points, 10, 20)
    canvas.drag(shapes, (20, 20), (30, 40))
    viewer.layers.clear()
    assert notices == []
    gone = weakref.ref(binding)
    del binding
    gc.collect()
    assert gone() is None


def test_a_binding_that_is_forgotten_unclosed_does_not_break_the_viewer(viewer, canvas):
    binding = AnnotationBinding(viewer)
    binding.image = viewer.add_image(np.zeros(HW, dtype=np.uint8))
    points = binding.new_points()
    del binding
    gc.collect()
    canvas.click(points, 10, 20)
    viewer.layers.clear()
    assert isinstance(points, Points)
    assert isinstance(Shapes(), Shapes)
