from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samv1.annotation import edits
from napari_samv1.annotation.pieces import BrushStroke
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.labels import make
from napari_samv1.layers.labels.make import LabelsError, highest_label, make_labels
from napari_samv1.layers.labels.writer import LabelWriter
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.settings import KEEP, OVERWRITE, ObjectSettings, Rule
from one_plane import OnePlane
from painting import paint

HW = (20, 30)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def image(viewer):
    return viewer.add_image(np.zeros(HW), name="coins")


@pytest.fixture
def session():
    return OnePlane()


def box(y0, x0, y1, x1, hw=HW):
    mask = np.zeros(hw, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return MaskCrop.from_mask(mask)


def draw(session, object_id, crop):
    """Give an object a mask without any network: as a brush would."""
    session.paint(object_id, crop)


def writer_for(viewer, labels, image):
    return LabelWriter(labels, image, displayed_plane(viewer, image))


def test_new_labels_have_the_planes_pixels_and_room_for_many_objects(viewer):
    image = viewer.add_image(
        np.zeros((20, 30)), scale=(2, 3), translate=(1, 2), rotate=30, units=("um", "um")
    )
    labels = make_labels(image, displayed_plane(viewer, image))
    assert labels.data.shape == (20, 30)
    assert labels.data.dtype == np.uint16
    np.testing.assert_allclose(labels.data_to_world((7, 8)), image.data_to_world((7, 8)))
    assert labels.units == image.units


def test_new_labels_of_rgb_have_no_colour_axis(viewer):
    image = viewer.add_image(np.zeros((20, 30, 3), dtype=np.uint8), rgb=True)
    assert make_labels(image, displayed_plane(viewer, image)).data.shape == (20, 30)


def test_labels_of_others_get_an_array_at_full_resolution_also_of_a_large_image_with_levels(
    viewer, monkeypatch
):
    monkeypatch.setattr(make, "LARGEST_PLANE", 2000)
    image = viewer.add_image(
        [np.zeros((64, 64)), np.zeros((32, 32))], multiscale=True, scale=(3, 5), rotate=20
    )
    plane = displayed_plane(viewer, image)
    assert make_labels(image, plane).multiscale
    labels = make_labels(image, plane, as_array=True)
    assert labels.data.shape == (64, 64)
    np.testing.assert_allclose(labels.data_to_world((4, 7)), image.data_to_world((4, 7)))


def test_labels_of_others_in_a_stack_too_large_to_hold_get_an_array_for_one_slice(viewer, monkeypatch):
    image = viewer.add_image(np.zeros((6, 20, 30)), scale=(4, 1, 2))
    viewer.dims.set_point(0, 12)
    plane = displayed_plane(viewer, image)
    assert make_labels(image, plane).data.shape == (6, 20, 30)
    monkeypatch.setattr(make, "WHOLE_STACK_BYTES", 2000)
    labels = make_labels(image, plane, as_array=True)
    assert labels.data.shape == (1, 20, 30)
    np.testing.assert_allclose(labels.data_to_world((0, 1, 1)), image.data_to_world((3, 1, 1)))
    session = OnePlane()
    draw(session, 1, box(2, 3, 5, 7))
    LabelWriter(labels, image, plane).write(session)
    assert np.count_nonzero(labels.data) == 12


def test_a_mask_is_written_where_it_lies(viewer, image, session):
    labels = viewer.add_layer(make_labels(image, displayed_plane(viewer, image)))
    writer = writer_for(viewer, labels, image)
    draw(session, 3, box(2, 4, 6, 9))
    assert writer.write(session)
    expected = np.zeros(HW, dtype=np.uint16)
    expected[2:6, 4:9] = 3
    np.testing.assert_array_equal(labels.data, expected)
    assert not writer.write(session)


def test_the_picture_is_told_and_the_array_stays_the_same(viewer, image, session):
    labels = viewer.add_labels(np.zeros(HW, dtype=np.int32))
    array, redrawn = labels.data, []
    labels.events.set_data.connect(lambda: redrawn.append(1))
    draw(session, 1, box(2, 4, 6, 9))
    writer_for(viewer, labels, image).write(session)
    assert labels.data is array
    assert len(redrawn) == 1


def test_only_pixels_of_the_object_are_touched(viewer, image, session):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 3, HW).astype(np.uint16) * 100
    labels = viewer.add_labels(data.copy())
    writer = writer_for(viewer, labels, image)
    draw(session, 1, box(2, 4, 12, 19))
    writer.write(session)
    # "keep": other labels stay, background becomes ours
    inside = np.zeros(HW, dtype=bool)
    inside[2:12, 4:19] = True
    np.testing.assert_array_equal(labels.data, np.where(inside & (data == 0), 1, data))
    session.delete(1)
    writer.write(session)
    np.testing.assert_array_equal(labels.data, data)


def test_what_was_overwritten_comes_back_when_the_object_goes(viewer, image):
    session = OnePlane()
    session.document.defaults = ObjectSettings(rule=OVERWRITE)
    data = np.full(HW, 7, dtype=np.uint16)
    labels = viewer.add_labels(data.copy())
    writer = writer_for(viewer, labels, image)
    draw(session, 1, box(2, 4, 12, 19))
    writer.write(session)
    assert (labels.data[2:12, 4:19] == 1).all()
    session.paint(1, box(2, 4, 7, 19), erase=True)
    writer.write(session)
    assert (labels.data[2:7, 4:19] == 7).all()
    session.undo()
    session.undo()
    writer.write(session)
    np.testing.assert_array_equal(labels.data, data)


def test_a_neighbour_that_shrinks_gives_back_what_it_covered(viewer, image, session):
    labels = viewer.add_labels(np.zeros(HW, dtype=np.uint16))
    writer = writer_for(viewer, labels, image)
    draw(session, 1, box(2, 2, 10, 10))
    draw(session, 2, box(2, 6, 10, 20))
    writer.write(session)
    assert (labels.data[2:10, 2:10] == 1).all()
    assert (labels.data[2:10, 10:20] == 2).all()
    session.paint(1, box(2, 5, 10, 10), erase=True)
    writer.write(session)
    assert (labels.data[2:10, 2:5] == 1).all()
    assert (labels.data[2:10, 5:6] == 0).all()
    assert (labels.data[2:10, 6:20] == 2).all()


def test_an_object_can_be_kept_inside_a_label_of_the_image(viewer, image):
    session = OnePlane()
    session.document.defaults = ObjectSettings(rule=Rule("inside", 7))
    data = np.zeros(HW, dtype=np.uint16)
    data[:, :10] = 7
    labels = viewer.add_labels(data)
    draw(session, 8, box(2, 5, 10, 20))
    writer_for(viewer, labels, image).write(session)
    assert (labels.data[2:10, 5:10] == 8).all()
    assert (labels.data[:, 10:] == 0).all()


def test_an_object_takes_over_the_pixels_that_bear_its_number(viewer, image, session):
    data = np.zeros(HW, dtype=np.uint16)
    data[15:18, 20:25] = 4
    labels = viewer.add_labels(data)
    draw(session, 4, box(2, 2, 5, 5))
    writer_for(viewer, labels, image).write(session)
    assert np.count_nonzero(labels.data) == 9
    assert (labels.data[2:5, 2:5] == 4).all()


def test_an_object_without_a_mask_wipes_nothing(viewer, image, session):
    from napari_samv1.records.prompts import Prompts

    labels = viewer.add_labels(np.full(HW, 4, dtype=np.uint16))
    session.point({4: Prompts([(3, 3)], [1])})
    assert not writer_for(viewer, labels, image).write(session)
    assert (labels.data == 4).all()


def test_napari_undo_takes_back_nothing_of_ours(viewer, image, session):
    labels = viewer.add_labels(np.zeros(HW, dtype=np.uint16))
    draw(session, 1, box(2, 4, 6, 9))
    writer_for(viewer, labels, image).write(session)
    written = labels.data.copy()
    labels.undo()
    np.testing.assert_array_equal(labels.data, written)


def test_an_object_number_too_large_for_the_type_is_refused_and_nothing_written(viewer, image, session):
    labels = viewer.add_labels(np.zeros(HW, dtype=np.uint8), name="small")
    writer = writer_for(viewer, labels, image)
    draw(session, 255, box(2, 4, 6, 9))
    writer.write(session)
    draw(session, 256, box(10, 4, 12, 9))
    with pytest.raises(LabelsError, match=r"Object 256 does not fit into Labels layer “small”.*uint8.*255"):
        writer.write(session)
    assert labels.data.max() == 255
    assert np.count_nonzero(labels.data) == 20


def test_the_right_slice_of_a_stack_is_written(viewer):
    image = viewer.add_image(np.zeros((4, 20, 30)), scale=(2, 1, 1))
    labels = viewer.add_labels(np.zeros((4, 20, 30), dtype=np.uint16), scale=(2, 1, 1))
    viewer.dims.set_point(0, 6)
    session = OnePlane()
    draw(session, 1, box(2, 4, 6, 9))
    writer_for(viewer, labels, image).write(session)
    assert np.count_nonzero(labels.data[3]) == np.count_nonzero(labels.data) == 20


def test_a_plane_along_other_axes_is_written(viewer):
    image = viewer.add_image(np.zeros((4, 20, 30)))
    labels = viewer.add_labels(np.zeros((4, 20, 30), dtype=np.uint16))
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_point(1, 5)
    session = OnePlane()
    draw(session, 1, box(1, 4, 3, 9, hw=(4, 30)))
    writer_for(viewer, labels, image).write(session)
    assert (labels.data[1:3, 5, 4:9] == 1).all()
    assert np.count_nonzero(labels.data) == 10


# Another grid than the image's


def test_coarser_labels_get_the_mask_at_their_pixel_centres(viewer, image, session):
    # a label pixel spans 2 x 2 image pixels: label (i, j) has its centre at image (2 i + 0.5, 2 j + 0.5)
    labels = viewer.add_labels(np.zeros((10, 15), dtype=np.uint16), scale=(2, 2), translate=(0.5, 0.5))
    draw(session, 1, box(4, 6, 10, 13))
    writer_for(viewer, labels, image).write(session)
    expected = np.zeros((10, 15), dtype=np.uint16)
    # centres at rows 4.5, 6.5, 8.5 are in pixels 5, 7, 9; columns 6.5 to 10.5 in 7, 9, 11; 12.5 is outside
    expected[2:5, 3:6] = 1
    np.testing.assert_array_equal(labels.data, expected)


def test_finer_labels_get_the_mask_enlarged(viewer, image, session):
    labels = viewer.add_labels(
        np.zeros((40, 60), dtype=np.uint16), scale=(0.5, 0.5), translate=(-0.25, -0.25)
    )
    draw(session, 1, box(4, 6, 10, 13))
    writer_for(viewer, labels, image).write(session)
    expected = np.zeros((40, 60), dtype=np.uint16)
    expected[8:20, 12:26] = 1
    np.testing.assert_array_equal(labels.data, expected)


def test_shifted_labels_hold_the_part_that_meets_them(viewer, image, session):
    labels = viewer.add_labels(np.zeros((5, 6), dtype=np.uint16), translate=(8, 10))
    draw(session, 1, box(4, 6, 10, 13))
    writer = writer_for(viewer, labels, image)
    writer.write(session)
    expected = np.zeros((5, 6), dtype=np.uint16)
    expected[:2, :3] = 1
    np.testing.assert_array_equal(labels.data, expected)
    session.delete(1)
    writer.write(session)
    assert not labels.data.any()


def test_turned_labels_get_the_mask_turned(viewer, image, session):
    # label (v, u) lies at world (u, 29 - v)
    labels = viewer.add_labels(
        np.zeros((30, 20), dtype=np.uint16), affine=[[0, 1, 0], [-1, 0, 29], [0, 0, 1]]
    )
    draw(session, 1, box(4, 6, 10, 13))
    writer_for(viewer, labels, image).write(session)
    whole = session.get(1).mask.to_mask(HW)
    np.testing.assert_array_equal(labels.data, np.rot90(whole).astype(np.uint16))


def test_labels_in_another_unit_are_the_same_grid(viewer, session):
    image = viewer.add_image(np.zeros(HW), units=("um", "um"))
    labels = viewer.add_labels(np.zeros(HW, dtype=np.uint16), scale=(1000, 1000), units=("nm", "nm"))
    assert writer_for(viewer, labels, image)._grid.same


# Refusals


def test_layers_that_cannot_take_masks_are_refused_with_a_sentence(viewer, image):
    read_only = np.zeros(HW, dtype=np.uint16)
    read_only.flags.writeable = False
    cases = [
        (viewer.add_labels(read_only), "read-only"),
        (viewer.add_labels([np.zeros((20, 30), int), np.zeros((10, 15), int)], multiscale=True), "levels"),
        (viewer.add_labels(np.zeros((3, 20, 30), dtype=np.uint16)), "3 dimensions"),
        (viewer.add_labels(np.zeros(HW, dtype=np.uint16), translate=(500, 0)), "beside image “coins”"),
    ]
    locked = viewer.add_labels(np.zeros(HW, dtype=np.uint16))
    locked.editable = False
    cases.append((locked, "locked"))
    for labels, reason in cases:
        with pytest.raises(LabelsError, match=reason):
            writer_for(viewer, labels, image)


def test_lazy_labels_are_refused(viewer, image):
    import dask.array as dask_array

    labels = viewer.add_labels(dask_array.zeros(HW, dtype=np.uint16))
    with pytest.raises(LabelsError, match="dask"):
        writer_for(viewer, labels, image)


def test_labels_that_miss_the_displayed_slice_are_refused(viewer):
    image = viewer.add_image(np.zeros((9, 20, 30)))
    labels = viewer.add_labels(np.zeros((3, 20, 30), dtype=np.uint16))
    viewer.dims.set_point(0, 7)
    with pytest.raises(LabelsError, match="does not reach the displayed slice"):
        writer_for(viewer, labels, image)


def test_a_zarr_array_is_written_by_regions(viewer, image, session):
    import zarr

    array = zarr.zeros(HW, chunks=(8, 8), dtype="uint16")
    labels = viewer.add_labels(array)
    draw(session, 1, box(2, 4, 6, 9))
    writer_for(viewer, labels, image).write(session)
    assert np.count_nonzero(array[:]) == 20


def test_the_first_free_number_is_above_all_labels(viewer):
    assert highest_label(viewer.add_labels(np.zeros(HW, dtype=np.uint16))) == 0
    assert highest_label(viewer.add_labels(np.full(HW, 41, dtype=np.uint16))) == 41


@pytest.mark.parametrize("seed", range(5))
def test_after_any_edits_the_layer_shows_what_one_painting_of_all_would(viewer, image, seed):
    rng = np.random.default_rng(seed)
    foreign = np.zeros(HW, dtype=np.uint16)
    foreign[5:9, 5:25] = 99
    labels = viewer.add_labels(foreign.copy())
    session, writer = OnePlane(), writer_for(viewer, labels, image)
    rules = (KEEP, OVERWRITE, Rule("inside", 99), Rule("inside", 1))
    for _ in range(60):
        object_id = int(rng.integers(1, 6))
        y, x = rng.integers(0, 15), rng.integers(0, 25)
        height, width = rng.integers(1, 10, 2)
        what = rng.choice(["brush", "brush", "eraser", "delete", "rule", "undo", "redo"])
        if what in ("brush", "eraser"):
            session.paint(object_id, box(y, x, y + height, x + width), erase=what == "eraser")
        elif what == "rule":
            session.set(object_id, rule=rules[rng.integers(len(rules))])
        elif what == "delete":
            session.delete(object_id)
        else:
            getattr(session, what)()
        writer.write(session)
    whole = viewer.add_labels(foreign.copy())
    writer_for(viewer, whole, image).write(session)
    np.testing.assert_array_equal(labels.data, whole.data)
    assert session.objects
    session.delete(*session.objects)
    writer.write(session)
    np.testing.assert_array_equal(labels.data, foreign)


def test_a_mask_wholly_outside_the_layer_is_said_to_be(bound, viewer, canvas, settle):
    bound.labels = viewer.add_labels(np.zeros((12, 60), dtype=np.uint16), name="upper part")
    canvas.click(bound.new_points(), 30, 20)
    (said,) = settle()
    assert "object 1 lies outside Labels layer “upper part”" in said
    bound.current.next()
    canvas.click(bound.points, 6, 20)
    assert settle() == []
    assert set(np.unique(bound.labels.data)) == {0, 2}


def test_a_layer_of_ours_gets_room_for_more_than_65535_objects(viewer):
    binding = AnnotationBinding(viewer)
    binding.image = viewer.add_image(np.zeros(HW, dtype=np.uint8))
    layer = binding.new_labels()
    paint(binding, 65_535, box(0, 0, 4, 4))
    assert layer.data.dtype == np.uint16
    paint(binding, 65_536, box(6, 6, 9, 9))
    assert layer.data.dtype == np.uint32
    assert (layer.data[:4, :4] == 65_535).all()
    assert np.count_nonzero(layer.data == 65_536) == 9
    binding.edits.undo()
    assert np.unique(layer.data).tolist() == [0, 65_535]
    binding.close()


def test_an_array_that_somebody_brought_is_not_replaced(viewer):
    binding = AnnotationBinding(viewer)
    binding.image = viewer.add_image(np.zeros(HW, dtype=np.uint8))
    data = np.zeros(HW, dtype=np.uint16)
    binding.labels = viewer.add_labels(data)
    stroke = BrushStroke(binding.shown.plane, 65_536, box(0, 0, 4, 4))
    assert "does not fit" in binding.edits.do(edits.paint(binding.document, [stroke]))
    assert binding.labels.data is data
    binding.close()
