from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from napari_samv1.annotation import edits
from napari_samv1.engine.jobs import run, run_each
from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import KEEP, OVERWRITE, ObjectSettings, Rule
from one_plane import OnePlane

HW = (40, 60)


def point(y, x, label=1):
    return Prompts([(y, x)], [label])


def square(y, x, half):
    mask = np.zeros(HW, dtype=bool)
    mask[y - half : y + half + 1, x - half : x + half + 1] = True
    return mask


def crop(region):
    mask = np.zeros(HW, dtype=bool)
    mask[region] = True
    return MaskCrop.from_mask(mask)


def shown(session, object_id):
    return session.get(object_id).mask.to_mask(HW)


@pytest.fixture
def session():
    return OnePlane()


@pytest.fixture
def answer(session, squares, embedding):
    """Decode whatever is pending, and return the changes."""

    def answer():
        return [session.accept(result) for result in run_each(squares, session.jobs(embedding))]

    return answer


def test_a_point_becomes_a_mask_once_its_answer_is_accepted(session, answer):
    session.point({1: point(10, 20)})
    assert session.get(1).mask.empty
    assert session.pending == (1,)
    [change] = answer()
    assert session.pending == ()
    # one point is ambiguous: candidate 2 has the highest IoU of 1 to 3, and reaches 2 pixels
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 2))
    assert change.planes == {session.plane: {1}}
    assert session.get(1).chosen == 2
    assert session.get(1).scores.iou == (0.9, 0.5, 0.7, 0.6)
    assert session.get(1).reason == ""


def test_equal_prompts_are_not_decoded_again(session, answer, squares):
    session.point({1: point(10, 20)})
    answer()
    assert not session.point({1: point(10, 20)})
    assert answer() == []
    assert len(squares.decoded) == 1


def test_prompts_that_return_to_what_was_asked_are_answered_without_decoding(session, answer, squares):
    session.point({1: point(10, 20)})
    answer()
    session.point({1: point(20, 20)})
    answer()
    assert session.point({1: point(10, 20)})
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 2))
    assert session.pending == ()
    assert len(squares.decoded) == 2


def test_only_the_newest_request_of_an_object_counts(session, squares, embedding):
    session.point({1: point(10, 20)})
    [first] = session.jobs(embedding)
    session.point({1: point(20, 30)})
    [second] = session.jobs(embedding)
    assert session.accept(run(squares, second))
    assert not session.accept(run(squares, first))
    np.testing.assert_array_equal(shown(session, 1), square(20, 30, 2))


def test_a_request_under_way_is_not_asked_again(session, embedding):
    session.point({1: point(10, 20)})
    assert len(session.jobs(embedding)) == 1
    assert session.jobs(embedding) == []
    session.decoding.forget()
    assert len(session.jobs(embedding)) == 1


def test_the_object_touched_last_is_decoded_first(session, embedding):
    session.point({1: point(10, 20), 2: point(20, 20), 3: point(30, 30)})
    session.point({1: point(10, 20), 2: point(21, 20), 3: point(30, 30)})
    assert [job.key[1] for job in session.jobs(embedding)] == [2, 3, 1]


def test_a_result_for_an_object_deleted_meanwhile_is_dropped(session, squares, embedding):
    session.point({1: point(10, 20)})
    [job] = session.jobs(embedding)
    session.delete(1)
    assert not session.accept(run(squares, job))
    assert session.get(1) is None


def test_a_result_that_comes_after_the_prompts_went_is_dropped(session, squares, embedding):
    session.point({1: point(10, 20)})
    [job] = session.jobs(embedding)
    session.point({})
    assert not session.accept(run(squares, job))
    assert session.get(1).mask.empty


def test_background_points_alone_empty_the_mask_and_say_so(session, answer):
    session.point({1: point(10, 20)})
    answer()
    change = session.point({1: point(10, 20, label=0)})
    assert session.get(1).mask.empty
    assert "background points only" in session.get(1).reason
    assert change.planes == {session.plane: {1}}
    assert session.pending == ()


def test_an_object_without_prompts_is_empty_but_keeps_its_settings(session, answer):
    session.point({1: point(10, 20)})
    answer()
    session.set(1, choice=3)
    session.point({})
    assert session.get(1).mask.empty
    assert "no prompts" in session.get(1).reason
    assert session.get(1).settings.choice == 3


def test_a_failed_decoding_is_a_reason_and_not_asked_for_ever(session, answer, squares):
    squares.fails_with = RuntimeError("out of memory")
    session.point({1: point(10, 20)})
    answer()
    assert "out of memory" in session.get(1).reason
    assert answer() == []
    squares.fails_with = None
    session.document.ask_again([(session.plane, 1)])
    answer()
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 2))


def test_a_mask_that_the_threshold_leaves_nothing_of_says_so(session, answer):
    session.point({1: point(10, 20)})
    answer()
    session.set(1, threshold=8.0)
    assert session.get(1).mask.empty
    assert "threshold" in session.get(1).reason


def test_choice_threshold_and_clean_up_need_no_decoding(session, answer, squares):
    session.point({1: point(10, 20)})
    answer()
    session.set(1, choice=3)
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 4))
    session.set(1, threshold=1.0)
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 3))
    session.set(1, cleanup=CleanUp(grow=1))
    # grown by a disc of radius 1: a square without its new corners
    assert session.get(1).mask.area == 7 * 7 + 4 * 7
    session.set(1, choice="auto")
    assert session.get(1).chosen == 2
    assert len(squares.decoded) == 1


def test_a_correction_corrects_the_candidate_that_was_chosen_by_hand(session, answer, squares, embedding):
    clicked, corrected = point(10, 20), Prompts([(10, 20), (12, 20)], [1, 0])
    session.point({1: clicked})
    answer()
    session.set(1, choice=3)
    session.point({1: corrected})
    [job] = session.jobs(embedding)
    assert job.request.prompts == corrected.correcting(3)
    session.accept(run(squares, job))
    # another choice shows another mask of the same answer; what is pointed at, and what was meant, stay
    for choice in (1, "auto"):
        session.set(1, choice=choice)
        assert not session.point({1: corrected})
        assert session.pending == ()
    more = Prompts([(10, 20), (12, 20), (9, 9)], [1, 0, 0])
    session.point({1: more})
    assert session.get(1).prompts == more.correcting(3)
    for _ in range(3):
        session.undo()
    assert session.get(1).prompts == corrected.correcting(3)
    assert session.pending == ()
    session.undo()
    session.undo()
    assert session.get(1).prompts == clicked


BOXED = Prompts([(10, 20)], [1], [(5, 10, 15, 30)])
CLICKED = Prompts([(10, 20), (12, 20)], [1, 0])


@pytest.mark.parametrize(
    ("before", "after", "meant"),
    [
        (point(10, 20), CLICKED, 3),
        (Prompts(boxes_yx=BOXED.boxes_yx), BOXED, 3),
        # what was chosen was chosen among the answers to another kind of prompt, or to none
        (point(10, 20), BOXED, None),
        (BOXED, CLICKED, None),
        (Prompts([(10, 20)], [0]), CLICKED, None),
        (None, CLICKED, None),
        # and to the corrected answer
        (CLICKED, Prompts([(10, 20), (12, 20), (9, 9)], [1, 0, 0]), None),
    ],
)
def test_a_choice_by_hand_is_corrected_where_it_was_made_on_the_first_answer(session, before, after, meant):
    if before is None:
        session.document.defaults = ObjectSettings(choice=3)
    else:
        session.point({1: before})
        session.set(1, choice=3)
    session.point({1: after})
    assert session.get(1).prompts == after.correcting(meant)


def test_a_choice_without_its_prediction_asks_for_it_again(squares, embedding):
    session = OnePlane(kept_bytes=1)
    session.point({1: point(10, 20), 2: point(30, 40)})
    for result in run_each(squares, session.jobs(embedding)):
        session.accept(result)
    gone = 1 if session.decoding.prediction(session.get(1)) is None else 2
    session.set(gone, choice=3)
    assert session.pending == (gone,)
    for result in run_each(squares, session.jobs(embedding)):
        session.accept(result)
    assert session.get(gone).mask.area == 81


def test_settings_changed_while_decoding_hold_for_the_result(session, squares, embedding):
    session.point({1: point(10, 20)})
    [job] = session.jobs(embedding)
    session.set(1, choice=1)
    session.accept(run(squares, job))
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 1))


def test_new_objects_start_with_the_default_settings(session, answer):
    session.document.defaults = ObjectSettings(choice=0, threshold=1.0)
    session.point({1: point(10, 20)})
    answer()
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 2))


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="choice must be"):
        ObjectSettings(choice=4)


def test_jobs_and_results_cannot_be_changed(session, squares, embedding):
    session.point({1: point(10, 20)})
    [job] = session.jobs(embedding)
    for record in (job, run(squares, job)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            record.ticket = 0


def test_jobs_of_two_embeddings_do_not_go_into_one_batch(squares):
    jobs = []
    for key in ("first", "second"):
        session = OnePlane()
        session.point({1: point(10, 20)})
        jobs += session.jobs(SimpleNamespace(key=key, image_hw=HW))
    results = run_each(squares, jobs)
    assert [result.job for result in results] == jobs
    assert [result.prediction.batch for result in results] == [(0, 1), (0, 1)]


def test_a_brush_stroke_survives_the_next_answer(session, answer):
    session.point({1: point(10, 20)})
    answer()
    session.paint(1, MaskCrop.from_mask(square(30, 50, 1)))
    session.paint(1, MaskCrop.from_mask(square(10, 20, 0)), erase=True)
    session.point({1: point(10, 21)})
    answer()
    expected = square(10, 21, 2) | square(30, 50, 1)
    expected[10, 20] = False
    np.testing.assert_array_equal(shown(session, 1), expected)


def test_a_stroke_over_an_erased_place_brings_it_back(session):
    session.paint(1, MaskCrop.from_mask(square(10, 20, 2)))
    session.paint(1, MaskCrop.from_mask(square(10, 20, 1)), erase=True)
    session.paint(1, MaskCrop.from_mask(square(10, 20, 0)))
    expected = square(10, 20, 2) & ~square(10, 20, 1) | square(10, 20, 0)
    np.testing.assert_array_equal(shown(session, 1), expected)


# The order of the composite


def test_under_keep_a_new_object_lies_beneath_those_that_are_there(session):
    session.point({1: point(10, 10)})
    session.point({1: point(10, 10), 2: point(20, 20)})
    assert session.stack == (2, 1)


def test_a_label_from_elsewhere_lies_above_objects_that_left_its_pixels_to_it(session):
    session.paint(1, crop(np.s_[0:4, 0:4]))  # under "keep"
    session.set(1, rule=KEEP)
    session.paint(2, crop(np.s_[6:9, 6:9]))
    session.set(2, rule=KEEP)
    session.paint(3, crop(np.s_[2:8, 2:8]))
    session.set(3, rule=OVERWRITE)
    session.adopt(90, crop(np.s_[3:5, 0:2]))
    assert session.stack.index(90) == session.stack.index(1) + 1
    assert session.stack[-1] == 3


def test_undo_of_a_step_before_a_label_became_an_object_keeps_its_pixels(session):
    session.paint(1, crop(np.s_[0:4, 0:4]))
    session.set(1, rule=KEEP)
    session.paint(1, crop(np.s_[0:4, 0:4]), erase=True)
    session.adopt(90, crop(np.s_[2:5, 2:5]))
    assert session.stack == (90, 1)  # they do not meet
    session.undo()
    assert session.stack == (1, 90)
    session.redo()
    assert set(session.stack) == {1, 90}


def test_a_label_from_elsewhere_has_its_covered_pixels_where_it_stays_beneath(session):
    session.paint(1, crop(np.s_[0:4, 0:4]))
    session.set(1, rule=OVERWRITE)
    label = edits.adopted(session.document, session.plane, 90, crop(np.s_[4:6, 0:4]))
    session.document.adopt(label, crop(np.s_[2:4, 0:4]))
    assert session.stack == (90, 1)
    assert session.get(90).mask == crop(np.s_[2:6, 0:4])


def test_covered_pixels_that_an_object_would_show_through_its_cover_are_left_to_the_cover(session):
    session.paint(2, crop(np.s_[4:8, 0:4]))
    session.paint(1, crop(np.s_[0:4, 0:4]))
    session.set(1, rule=OVERWRITE)
    assert session.stack == (1, 2)
    label = edits.adopted(session.document, session.plane, 90, crop(np.s_[4:6, 0:4]))
    session.document.adopt(label, crop(np.s_[2:4, 0:4]))
    assert session.stack == (1, 2, 90)  # above 2, and so above 1 as well
    assert session.get(90).mask == crop(np.s_[4:6, 0:4])


def test_an_object_that_grows_into_anothers_mask_goes_beneath_it_under_keep(session, answer):
    session.point({1: point(10, 10)})
    answer()
    session.point({1: point(10, 10), 2: point(10, 16)})
    answer()
    assert session.stack == (2, 1)
    # 1 covers columns 8 to 12, then 6 to 14; 2 begins at 14
    change = session.set(1, choice=3)
    assert session.stack == (1, 2)
    assert change.planes == {session.plane: {1}}


def test_an_answer_that_is_no_longer_kept_is_recalled_without_touching_the_object(squares, embedding):
    session = OnePlane(kept_bytes=1)
    for number, place in ((1, (10, 10)), (2, (20, 20))):
        pointed = {known.id: known.prompts for known in session.objects.values()}
        session.point({**pointed, number: point(*place)})
        session.accept(run(squares, session.jobs(embedding)[0]))
    assert session.decoding.recall(session.document, session.get(2), embedding, embedding.key) is None
    assert session.decoding.prediction(session.get(1)) is None
    assert session.decoding.recall(session.document, session.get(1), embedding, "another") is None
    before, revision = session.get(1), session.document.revision
    session.decoding.remember(
        run(squares, session.decoding.recall(session.document, session.get(1), embedding, embedding.key))
    )
    assert session.decoding.prediction(session.get(1)) is not None
    assert session.decoding.recall(session.document, session.get(1), embedding, embedding.key) is None
    assert session.get(1) is before
    assert session.document.revision == revision


def test_an_object_that_grows_lies_above_under_overwrite(session, answer):
    session.document.defaults = ObjectSettings(rule=OVERWRITE)
    session.point({1: point(10, 10)})
    session.point({1: point(10, 10), 2: point(10, 16)})
    answer()
    assert session.stack == (1, 2)
    session.set(1, choice=3)
    assert session.stack == (2, 1)


def test_an_object_that_may_overwrite_from_now_on_lies_above_what_it_meets_and_back_again(session, answer):
    session.point({1: point(10, 10), 3: point(30, 40)})
    answer()
    session.point({1: point(10, 10), 2: point(10, 13), 3: point(30, 40)})
    answer()
    assert session.stack.index(2) < session.stack.index(1)
    session.set(2, rule=OVERWRITE)
    assert session.stack.index(2) > session.stack.index(1)
    session.set(2, rule=KEEP)
    assert session.stack.index(2) < session.stack.index(1)


def test_an_object_inside_another_lies_right_above_it(session):
    session.point({1: point(10, 10), 2: point(20, 20), 3: point(30, 30)})
    assert session.stack == (3, 2, 1)
    session.set(3, rule=Rule("inside", 2))
    assert session.stack == (2, 3, 1)


# Undo


def test_prompts_choices_thresholds_strokes_and_deletions_are_one_history(session, answer):
    session.point({1: point(10, 20)})
    answer()
    session.set(1, choice=3)
    session.set(1, threshold=1.0)
    session.paint(1, MaskCrop.from_mask(square(30, 50, 1)))
    session.delete(1)
    states = []
    while session.undo_label:
        label = session.undo_label
        undone = session.undo()
        assert undone.label == label
        known = session.get(1)
        states.append((label, 0 if known is None else known.mask.area))
    assert states == [
        ("delete object 1", 49 + 9),
        ("brush", 49),
        ("threshold of object 1", 81),
        ("mask choice of object 1", 25),
        ("prompts", 0),
    ]
    areas = []
    while session.redo_label:
        session.redo()
        areas.append(0 if session.get(1) is None else session.get(1).mask.area)
    assert areas == [25, 81, 49, 58, 0]


def test_undo_tells_which_pixels_changed(session, answer):
    session.point({1: point(10, 20)})
    answer()
    session.point({1: point(30, 40)})
    answer()
    change = session.undo().change
    assert change.planes == {session.plane: {1}}
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 2))


def test_an_answer_that_comes_late_is_in_the_undone_past_as_well(session, squares, embedding):
    session.point({1: point(10, 20)})
    [job] = session.jobs(embedding)
    session.set(1, rule=OVERWRITE)
    session.point({1: point(10, 20), 2: point(30, 40)})
    session.accept(run(squares, job))
    session.undo()
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 2))
    session.undo()
    # before the rule changed it was another record of the object; the kept prediction answers it
    assert session.pending == ()
    np.testing.assert_array_equal(shown(session, 1), square(10, 20, 2))


def test_a_gesture_is_one_step_from_its_beginning(session):
    session.point({1: point(10, 20)})
    for x in range(21, 30):
        session.point({1: point(10, x)}, gesture="drag")
    session.point({1: point(10, 40)}, gesture="another drag")
    session.undo()
    assert session.get(1).prompts == point(10, 29)
    session.undo()
    assert session.get(1).prompts == point(10, 20)
    session.redo()
    assert session.get(1).prompts == point(10, 29)


def test_a_slider_moved_for_one_object_is_one_step_for_that_object(session, answer):
    session.point({1: point(10, 20), 2: point(30, 40)})
    answer()
    for threshold in (0.5, 1.0, 1.5):
        session.set(1, threshold=threshold, gesture="slider")
    session.set(2, threshold=1.0, gesture="slider")
    session.undo()
    session.undo()
    assert session.get(1).settings.threshold == 0.0


def test_a_new_step_ends_what_could_be_redone(session):
    session.point({1: point(10, 20)})
    session.undo()
    session.point({2: point(10, 20)})
    assert not session.redo_label


def test_undo_with_nothing_to_undo_does_nothing(session):
    assert session.undo() is None
    assert session.redo() is None


def test_prompts_found_in_a_layer_are_no_step(session):
    session.point({1: point(10, 20)}, undoable=False)
    assert session.pending == (1,)
    assert not session.undo_label


def test_clearing_removes_all_and_comes_back(session, answer):
    session.point({1: point(10, 20), 2: point(30, 40)})
    answer()
    change = session.delete(1, 2)
    assert change.planes == {session.plane: {1, 2}}
    assert not session.objects
    session.undo()
    assert set(session.objects) == {1, 2}
    assert session.stack == (2, 1)


def test_a_plane_that_was_looked_at_before_a_document_is_restored_shows_what_is_restored():
    saved, document = OnePlane(), OnePlane().document
    saved.point({2: point(10, 20)})
    view = document.on(saved.plane)
    held, revision = view.objects, document.revision
    document.restore(saved.document.objects.values(), saved.objects.values(), {saved.plane: [2]})
    assert list(view.objects) == list(held) == list(view.stack) == list(view.pending) == [2]
    assert document.revision > revision
    revision = document.revision
    document.restore([], [], {})
    assert not view.objects
    assert not view.stack
    assert not view.pending
    assert document.revision > revision


def test_a_plane_tells_which_pieces_changed_since_a_revision(session, answer):
    session.point({1: point(10, 20), 2: point(30, 40)})
    answer()
    begun = session.document.revision
    assert session.changed_since(begun) == []
    session.set(2, threshold=1.5)
    changed = session.document.revision
    assert session.changed_since(begun) == [2]
    session.delete(1)
    assert session.changed_since(begun) == [1, 2]
    assert session.changed_since(changed) == [1]
    session.undo()
    session.undo()
    assert session.changed_since(changed) == [2, 1]
    opened = session.document.revision
    piece = session.get(2)
    session.document.restore([session.document.objects[2]], [piece], {session.plane: [2]})
    assert sorted(session.changed_since(opened)) == [1, 2], "one went, one came"
