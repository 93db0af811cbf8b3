"""Faults that playing found, each as the few steps that show it; the machine itself is in ``play``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Points, Shapes

from napari_samv1.layers.recording import Recorder
from napari_samv1.records.settings import OVERWRITE, Rule
from napari_samv1.storage.session.folder import open_session
from play.person import Person

STACK = {"stack": (3, 40, 60)}
TWO = {"first": (40, 60), "second": (50, 65)}


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Any]:
    """Makes persons at viewers with images of these shapes, by name."""
    people: list[Person] = []

    def start(shapes: dict[str, tuple[int, ...]]) -> Person:
        images = {name: np.full(shape, 5, dtype=np.uint8) for name, shape in shapes.items()}
        people.append(Person(images, tmp_path))
        return people[-1]

    yield start
    for person in people:
        person.close()


def areas(person: Person) -> list[int]:
    """Label pixels of each plane of the chosen image, whatever the number."""
    look = person.look()
    planes = [look.planes[person.image, index].pixels for index in person.planes]
    return [0 if pixels is None else int(np.count_nonzero(pixels)) for pixels in planes]


def click(person: Person, y: float, x: float, **options: Any) -> None:
    person.click(y, x, **options)
    person.wait()


def test_undo_on_one_slice_leaves_prompts_and_masks_of_the_others(at_work):
    person = at_work(STACK)
    for number in range(3):
        person.go_to(number)
        click(person, 10 + number, 20)
        person.next_object()
    person.go_to(0)
    person.undo()
    assert sorted(areas(person)) == [0, 25, 25]
    assert len(person.binding.points.data) == 2
    for number in range(3):
        person.go_to(number)
        person.wait()
    assert sorted(areas(person)) == [0, 25, 25]


def test_undo_after_rebinding_leaves_the_points_that_came_with_the_layer(at_work):
    person = at_work({"image": (40, 60)})
    person.bind_new_points()
    click(person, 30, 20)
    person.remove_last()
    own = person.viewer.add_points(np.array([(5, 5), (8, 30)]), name="mine")
    person.binding.points = own
    person.looked()
    person.wait()
    for _ in range(3):
        person.undo()
    assert {(5, 5), (8, 30)} <= {tuple(row) for row in own.data}


def test_settings_for_new_objects_hold_on_every_slice(at_work):
    person = at_work(STACK)
    person.go_to(0)
    person.choose(3)
    person.go_to(1)
    click(person, 20, 20)
    assert areas(person) == [0, 81, 0]


def test_a_click_after_undo_belongs_to_the_object_in_hand(at_work):
    person = at_work({"image": (40, 60)})
    click(person, 10, 20)
    person.pick(2)
    click(person, 30, 20)
    person.undo()
    assert set(person.next_prompts.values()) == {(2, "positive")}
    click(person, 30, 40)
    assert sorted(row[1] for row in person.look().planes[person.image, person.plane].rows) == [1, 2]


def test_a_point_that_is_turned_leaves_the_next_prompt_as_it_was(at_work):
    person = at_work({"image": (40, 60)})
    click(person, 10, 20)
    person.turn_point(0)
    assert set(person.next_prompts.values()) == {(1, "positive")}


def test_clear_undo_redo_with_two_clicks(at_work):
    person = at_work({"image": (40, 60)})
    click(person, 10, 20)
    click(person, 10, 30)
    person.clear()
    person.undo()
    assert areas(person) == [98]
    person.redo()
    assert areas(person) == [0]


def test_prompts_of_one_image_are_none_of_another_that_was_chosen_before(at_work):
    person = at_work(TWO)
    person.choose_image("second")
    click(person, 20, 30)
    person.choose_image("first")
    person.wait()
    look = person.look()
    assert not look.planes["first", (None, None)].objects
    assert areas(person) == [0]


def test_objects_of_one_image_are_not_drawn_into_labels_of_another(at_work):
    person = at_work(TWO)
    person.choose_image("second")
    person.paint((20, 30), (20, 35))
    person.choose_image("first")
    click(person, 10, 20)
    assert areas(person) == [25]
    drawn = person.labels_of("second")
    person.choose_image("second")
    assert person.labels_of("second") is drawn
    assert person.look().planes["second", (None, None)].order == (1,)
    assert set(np.unique(drawn.data)) == {0, 1}


def test_labels_of_another_tool_serve_the_image_that_they_lie_on(at_work):
    person = at_work(TWO)
    person.choose_image("second")
    person.add_own_layers()
    own = person.viewer.layers[-1]
    person.choose_image("first")
    person.binding.labels = own
    person.choose_image("second")
    assert person.binding.labels is own
    person.choose_image("first")
    assert person.binding.labels is not own


def test_turning_a_point_and_the_click_after_it_are_two_steps(at_work):
    person = at_work({"image": (40, 60)})
    click(person, 10, 20)
    click(person, 10, 30)
    person.turn_point(0)
    person.wait()
    turned = areas(person)
    click(person, 30, 40)
    person.undo()
    assert areas(person) == turned
    person.undo()
    assert areas(person) == [98]


def test_new_labels_show_objects_of_all_slices(at_work):
    person = at_work(STACK)
    for number in range(2):
        person.go_to(number)
        click(person, 10, 20)
        person.next_object()
    person.bind_new_labels()
    assert areas(person) == [25, 25, 0]


def test_other_pixels_in_the_image_leave_what_is_annotated(at_work):
    person = at_work({"image": (40, 60)})
    click(person, 10, 20)
    person.paint((30, 30), (30, 40))
    person.wait()
    [before] = areas(person)
    person.replace_pixels()
    person.wait()
    assert areas(person) == [before]
    assert person.undo_label


def test_labels_of_another_tool_are_saved_on_slices_without_objects(at_work):
    person = at_work(STACK)
    person.add_own_layers()
    person.bind_labels(0)
    person.go_to(1)
    click(person, 15, 20)
    again = at_work(STACK)
    again.open(person.save())
    assert areas(again) == areas(person)


def test_undo_after_a_split_and_another_step_takes_back_the_other_step_only(at_work):
    person = at_work({"image": (40, 60)})
    click(person, 10, 20)
    click(person, 30, 40)
    person.split(share_background=True)
    person.wait()
    split = person.look().planes[person.image, person.plane].rows
    person.remove_last()
    person.undo()
    person.wait()
    assert person.look().planes[person.image, person.plane].rows == split


def test_own_layers_are_as_they_were_after_they_were_bound_and_given_back(at_work):
    person = at_work({"image": (40, 60)})
    own = person.viewer.add_points(np.array([(5, 5), (8, 30)]), name="mine", features={"kind": ["a", "b"]})
    person.binding.points = own
    person.looked()
    person.wait()
    person.bind_new_points()
    assert isinstance(own, Points)
    assert list(own.features["kind"]) == ["a", "b"]
    assert not person.leaked()


def test_a_layer_that_was_empty_when_the_image_was_left_belongs_to_the_image_it_is_first_used_for(at_work):
    person = at_work(TWO)
    person.bind_new_points()
    person.bind_new_labels()
    person.choose_image("second")
    assert person.binding.points is not None  # nothing is in it: it serves any image
    click(person, 30, 20)
    [drawn] = areas(person)
    person.choose_image("first")
    person.wait()
    assert areas(person) == [0]
    assert not person.look().planes["first", (None, None)].objects
    click(person, 10, 20)
    person.choose_image("second")
    person.wait()
    assert areas(person) == [drawn]
    assert [row[3] for row in person.look().planes["second", (None, None)].rows] == [(30, 20)]


def test_a_layer_of_one_image_that_is_chosen_for_another_is_the_others_from_then_on(at_work):
    person = at_work(TWO)
    click(person, 10, 20)
    points, labels = person.binding.points, person.binding.labels
    person.choose_image("second")
    person.binding.points, person.binding.labels = points, labels
    person.looked()
    click(person, 30, 40)
    person.choose_image("first")
    person.wait()
    assert person.binding.points is not points
    assert person.binding.labels is not labels
    click(person, 20, 40)
    objects = person.look().planes["first", (None, None)].objects
    assert [one.points for one in objects.values()] == [((10, 20, 1), (20, 40, 1))]
    assert [row[3] for row in person.look().planes["first", (None, None)].rows] == [(10, 20), (20, 40)]


def test_boxes_of_an_image_that_lies_where_another_does_are_not_taken_for_the_others(at_work):
    person = at_work({"first": (40, 60), "other": (50, 65), "second": (40, 60)})
    click(person, 10, 20)
    person.choose_image("other")
    click(person, 5, 5)
    person.choose_image("second")
    person.box((20, 20), (30, 40))
    person.wait()
    person.choose_image("first")
    person.wait()
    assert person.binding.shapes is None
    [only] = person.look().planes["first", (None, None)].objects.values()
    assert (only.points, only.boxes) == (((10, 20, 1),), ())


def test_masks_of_one_channel_are_there_again_after_another_channel_was_clicked(at_work):
    person = at_work({"first": (40, 60), "second": (40, 60)})
    click(person, 10, 20)
    person.paint((30, 30), (30, 40))
    person.wait()
    [before] = areas(person)
    person.choose_image("second")
    person.wait()
    click(person, 10, 30)
    person.clear()
    person.choose_image("first")
    person.wait()
    [only] = person.look().planes["first", (None, None)].objects.values()
    assert areas(person) == [only.mask.area] == [before]


def test_shapes_that_a_newly_chosen_layer_does_not_show_are_kept(at_work):
    person = at_work({"image": (40, 60)})
    person.draw("polygon", (5, 5), (15, 20))
    person.wait()
    shapes = person.binding.shapes
    own = Shapes([np.array([(20, 40), (20, 50), (30, 50), (30, 40)])], shape_type="rectangle")
    own.features = {"object": [7], "polarity": ["positive"]}
    person.viewer.add_layer(own)
    person.binding.shapes = own
    person.looked()
    person.viewer.layers.remove(shapes)
    person.bind_new_points()  # fills fresh layers, and this one is not
    click(person, 30, 20)
    kinds = [shape.kind for shape in person.binding.shown.get(1).drawn]
    assert kinds == ["point", "polygon"]
    person.undo()  # a step that did not touch the polygon
    person.wait()
    assert [shape.kind for shape in person.binding.shown.get(1).drawn] == ["polygon"]


@pytest.mark.parametrize("kind", ["rectangle", "point"])
def test_a_prompt_in_a_newly_chosen_layer_is_added_to_those_that_it_does_not_show(at_work, kind):
    person = at_work({"image": (40, 60)})
    click(person, 10, 20)
    person.draw("polygon", (5, 5), (15, 20))
    person.wait()
    person.viewer.layers.remove(person.binding.points)
    person.viewer.layers.remove(person.binding.shapes)
    person.binding.points = person.viewer.add_points(ndim=2)
    person.binding.shapes = person.viewer.add_shapes(ndim=2)
    person.looked()
    if kind == "point":
        click(person, 30, 40)
    else:
        person.box((20, 30), (30, 40))
    person.wait()
    drawn = {(one.kind, *one.vertices_yx[0]) for one in person.binding.shown.get(1).drawn}
    added = ("point", 30, 40) if kind == "point" else ("rectangle", 20, 30)
    assert drawn == {("point", 10, 20), ("polygon", 5, 5), added}
    person.undo()
    person.wait()
    drawn = {(one.kind, *one.vertices_yx[0]) for one in person.binding.shown.get(1).drawn}
    assert drawn == {("point", 10, 20), ("polygon", 5, 5)}


def test_labels_of_another_tool_that_an_object_covers_outlast_a_look_at_another_image(at_work):
    person = at_work(TWO)
    person.add_own_layers()
    person.bind_labels(0)
    labels = person.binding.labels
    person.set_rule(Rule("inside", 90))
    person.box((0, 0), (12, 12))
    person.wait()
    number = person.current
    assert (labels.data[2:8, 2:9] == number).all()
    before = labels.data.copy()
    person.choose_image("second")
    person.choose_image("first")
    np.testing.assert_array_equal(labels.data, before)
    labels.translate = (0, 1)  # masks are written anew
    labels.translate = (0, 0)
    np.testing.assert_array_equal(labels.data, before)
    person.undo()
    assert (labels.data[2:8, 2:9] == 90).all()


def test_an_empty_labels_layer_serves_no_image_that_it_does_not_lie_on(at_work):
    person = at_work(TWO)
    person.bind_new_labels()
    person.choose_image("second")
    click(person, 47, 62)
    assert person.binding.labels.data.shape == (50, 65)
    assert areas(person) == [25]


def test_a_label_of_another_tool_that_is_erased_a_little_stays_where_it_is(at_work):
    person = at_work({"image": (40, 60)})
    person.set_rule(Rule("inside", 1))  # for new objects
    person.add_own_layers()
    person.bind_labels(0)
    labels = person.binding.labels
    before = labels.data.copy()
    person.paint((25, 45), (25, 46), erase=True)
    erased = np.argwhere(labels.data != before)
    assert 0 < len(erased) <= 20
    person.undo()
    np.testing.assert_array_equal(labels.data, before)


def test_undo_after_a_look_at_another_image_shows_the_prompts_of_what_was_deleted(at_work):
    person = at_work(TWO)
    click(person, 10, 20)
    person.delete(1)
    person.choose_image("second")
    click(person, 30, 30)
    person.choose_image("first")
    person.undo()
    person.wait()
    look = person.look().planes["first", (None, None)]
    assert list(look.objects) == [1]
    assert [row[3] for row in look.rows] == [(10, 20)]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_labels_of_another_tool_do_not_come_back_after_their_layer_was_deleted(at_work, elsewhere):
    person = at_work(TWO)
    person.add_own_layers()
    person.bind_labels(0)
    labels = person.binding.labels
    person.paint((35, 10), (35, 20))
    person.clear()
    if elsewhere:
        person.choose_image("second")
    person.viewer.layers.remove(labels)
    again = at_work(TWO)
    again.open(person.save())
    pixels = again.look().planes["first", (None, None)].pixels
    assert pixels is None or not pixels.any()


@pytest.fixture
def over_a_label(at_work):
    """Object 1 is painted in a layer of ours; then a layer is chosen in which 90 covers the same pixels."""
    person = at_work({"image": (40, 60)})
    person.add_own_layers()
    return person


def test_a_label_of_another_tool_keeps_its_pixels_when_it_becomes_an_object(over_a_label):
    person = over_a_label
    person.paint((2, 2), (2, 2))
    person.bind_labels(0)
    labels = person.binding.labels
    person.wait()
    assert (labels.data[2:8, 2:9] == 90).all()
    person.pick(90)
    person.clear()
    assert (labels.data == 90).sum() == 0
    person.undo()
    assert (labels.data[2:8, 2:9] == 90).all()


def test_a_label_that_becomes_an_object_is_whole_once_what_covers_it_is_gone(over_a_label):
    person = over_a_label
    person.bind_labels(0)
    labels = person.binding.labels
    person.set_rule(OVERWRITE)
    person.box((0, 0), (6, 6))
    person.wait()
    number = person.current
    covered = labels.data[2:8, 2:9] == number
    assert covered.any()
    assert not covered.all()
    before = labels.data.copy()
    person.pick(90)
    person.set_threshold(1.0)
    person.refine()
    person.undo()
    np.testing.assert_array_equal(labels.data, before)
    person.delete(number)
    assert (labels.data[2:8, 2:9] == 90).all()
    person.delete(90)
    assert not (labels.data == 90).any()


def test_a_mask_that_comes_when_another_image_is_chosen_is_shown(at_work):
    person = at_work(TWO)
    person.click(10, 20)
    person.choose_image("second")
    person.wait()
    assert np.count_nonzero(person.look().planes["first", (None, None)].pixels) == 25


@pytest.fixture
def cleared(over_a_label):
    """Object 90 was made here and cleared; then a layer is chosen in which another tool has a label 90."""
    person = over_a_label
    person.pick(90)
    click(person, 20, 20)
    person.clear()
    person.bind_labels(0)
    assert (person.binding.labels.data == 90).any()
    return person


def test_a_cleared_object_gets_the_pixels_of_its_number_in_a_layer_that_is_chosen_then(cleared):
    labels = cleared.binding.labels
    before = labels.data.copy()
    assert cleared.binding.document.pieces_of(90)[0].mask.area == (before == 90).sum()
    cleared.undo()
    cleared.redo()
    np.testing.assert_array_equal(labels.data, before)
    cleared.delete(90)
    assert not (labels.data == 90).any()
    cleared.undo()
    np.testing.assert_array_equal(labels.data, before)


@pytest.mark.parametrize("shapes", [STACK, {"image": (40, 60)}])
def test_labels_of_another_tool_beside_a_cleared_object_are_saved(at_work, shapes):
    person = at_work(shapes)
    person.add_own_layers()
    click(person, 20, 20)
    person.clear()
    person.bind_labels(0)
    labels = person.binding.labels.data
    again = at_work(shapes)
    again.open(person.save())
    kept = {
        index: plane.pixels for (_, index), plane in again.look().planes.items() if plane.pixels is not None
    }
    shown = {index: plane.pixels for (_, index), plane in person.look().planes.items()}
    assert labels.any()
    for index, pixels in shown.items():
        np.testing.assert_array_equal(kept.get(index, np.zeros_like(pixels)), pixels)


def test_objects_of_data_that_other_data_of_another_shape_replaced_stay_in_the_session(at_work):
    person = at_work({"image": (40, 60)})
    click(person, 10, 20)
    person.wait()
    [before] = person.binding.shown.objects.values()
    image = person.images["image"]
    image.data = np.zeros((30, 50), dtype=np.uint8)
    click(person, 12, 14)
    person.wait()
    earlier, now = open_session(person.save()).images
    assert [one.planes[0].source.image_shape for one in (earlier, now)] == [(40, 60), (30, 50)]
    assert earlier.planes[0].source.name == image.name
    assert [piece.mask for piece in earlier.planes[0].pieces] == [before.mask]
    assert [piece.prompts.points_yx.tolist() for piece in now.planes[0].pieces] == [[[12, 14]]]
    person.binding.viewer.layers.remove(image)
    assert not Recorder().record(person.binding, person.binding.viewer.layers, {}).images
