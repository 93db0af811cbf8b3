"""Masks of large planes: a live pyramid that is read where napari looks, and painted by our own brush."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from canvas import Canvas
from napari_samv1.annotation import edits
from napari_samv1.annotation.pieces import BrushStroke, Piece
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.labels import make as make_module
from napari_samv1.layers.labels import target
from napari_samv1.layers.labels.pyramid import MOST_PIXELS, TILE, LivePyramid, pyramid_of
from napari_samv1.layers.labels.pyramid_brush import TOO_LONG
from napari_samv1.layers.recording import Recorder
from napari_samv1.layers.reopening import reopen
from napari_samv1.masks.composite import Composite
from napari_samv1.masks.paint import Stack
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.settings import KEEP, OVERWRITE
from napari_samv1.storage.session.folder import open_session, save_session
from painting import paint

SLIDE = 100_000


def box(y0, x0, y1, x1):
    return MaskCrop((y0, x0), np.ones((y1 - y0, x1 - x0), dtype=bool))


class Said:
    def __init__(self):
        self.sentences = []

    def __call__(self, sentence):
        self.sentences.append(sentence)


def annotating(shape, said=None, **options):
    viewer = ViewerModel()
    binding = AnnotationBinding(viewer, on_edited=said)
    pixels = np.broadcast_to(np.uint8(7), shape)
    binding.image = viewer.add_image(pixels, contrast_limits=(0, 255), name="slide", **options)
    return binding


@pytest.fixture
def slide():
    binding = annotating((SLIDE, SLIDE))
    yield binding
    binding.close()


def test_a_plane_above_the_limit_gets_levels_and_no_array(slide):
    labels = slide.new_labels()
    assert [level.shape for level in labels.data][:2] == [(SLIDE, SLIDE), (SLIDE // 2, SLIDE // 2)]
    assert max(labels.data[-1].shape) <= 512
    assert labels.data.dtype == np.uint32
    assert not any(isinstance(level, np.ndarray) for level in labels.data)


@pytest.mark.parametrize(("shape", "live"), [((4096, 4096), False), ((4096, 4097), True)])
def test_a_small_plane_keeps_the_ordinary_layer(shape, live):
    binding = annotating(shape)
    assert (pyramid_of(binding.new_labels()) is not None) == live
    binding.close()


def test_every_level_shows_an_object_where_it_lies(slide):
    labels = slide.new_labels()
    paint(slide, 3, box(64_000, 32_000, 64_512, 32_256))
    assert (np.asarray(labels.data[0][63_999:64_513, 31_999:32_257]) == 3).sum() == 512 * 256
    for level, factor in enumerate(2**n for n in range(len(labels.data))):
        top, left = 64_000 // factor, 32_000 // factor
        bottom, right = -(-64_512 // factor), -(-32_256 // factor)
        shown = np.asarray(labels.data[level][top - 1 : bottom + 1, left - 1 : right + 1])
        expected = np.zeros_like(shown)
        expected[1:-1, 1:-1] = 3
        np.testing.assert_array_equal(shown, expected)


def test_slices_are_lazy_and_a_whole_level_is_refused():
    pyramid = LivePyramid((50, SLIDE, SLIDE), (1, 2))
    part = pyramid.levels[0][3, 10:20]
    assert part.shape == (10, SLIDE)
    assert part.ndim == 2
    assert part[..., 5:7].shape == (10, 2)
    assert pyramid.levels[0][-1, -5, 7].shape == ()
    with pytest.raises(IndexError, match="50"):
        pyramid.levels[0][50]
    with pytest.raises(ValueError, match=f"{MOST_PIXELS}.*OME-Zarr"):
        np.asarray(pyramid.levels[0])


def test_the_coarsest_level_that_napari_keeps_stays_current(slide):
    labels = slide.new_labels()
    kept = np.asarray(labels.data[-1])
    paint(slide, 2, box(0, 0, 300, 300))
    assert kept[0, 0] == 2
    slide.edits.undo()
    assert not kept.any()


def test_a_change_is_drawn_only_where_it_is_in_view(slide):
    labels, redrawn = slide.new_labels(), []
    pyramid = pyramid_of(labels)
    pyramid._last_read.clear()
    np.asarray(labels.data[labels.data_level][:100, :100])
    labels.events.set_data.connect(lambda: redrawn.append(1))
    factor = 2**labels.data_level
    paint(slide, 1, box(200 * factor, 200 * factor, 200 * factor + 9, 200 * factor + 9))
    assert redrawn == []
    paint(slide, 2, box(0, 0, 9, 9))
    assert redrawn == [1]


def test_of_cached_tiles_only_a_changed_object_is_drawn_anew(slide, monkeypatch):
    labels = slide.new_labels()
    for number in range(16):
        paint(slide, number + 1, box(number * TILE, 0, number * TILE + 10, 10))
    drawn = []
    real = Composite.read

    def counted(self, region, *more, **named):
        values = real(self, region, *more, **named)
        drawn.append(values.size)
        return values

    monkeypatch.setattr(Composite, "read", counted)
    window = slice(0, 16 * TILE), slice(0, TILE)
    np.asarray(labels.data[0][window])
    assert drawn == [TILE * TILE] * 16
    np.asarray(labels.data[0][window])
    assert len(drawn) == 16
    drawn.clear()
    paint(slide, 1, box(20, 20, 30, 30))
    assert (np.asarray(labels.data[0][window]) == 1).sum() == 200
    # the object's box before and after
    assert sorted(drawn)[-2:] == [100, 30 * 30]


def test_all_slices_of_a_large_stack_are_shown(monkeypatch):
    monkeypatch.setattr(make_module, "WHOLE_STACK_BYTES", 2000)
    binding = annotating((6, 40, 60), scale=(4, 1, 2))
    viewer = binding.viewer
    for z in (1, 4):
        viewer.dims.set_point(0, 4 * z)
        paint(binding, z, box(2, 3, 5, 7))
    labels = binding.labels
    assert labels in viewer.layers
    assert [layer for layer in viewer.layers if isinstance(layer, Labels)] == [labels]
    whole = np.asarray(labels.data[0])
    assert [int(whole[z].max()) for z in range(6)] == [0, 1, 0, 0, 4, 0]
    np.testing.assert_allclose(labels.data_to_world((4, 1, 1)), binding.image.data_to_world((4, 1, 1)))
    for z in range(6):
        viewer.dims.set_point(0, 4 * z)
        assert binding.sync().problem == ""
        assert (labels.get_value((4 * z, 3.0, 8.0), world=True)[1] or 0) == (z if z in (1, 4) else 0)
    binding.close()


def test_a_stack_of_planes_of_either_direction_is_shown(monkeypatch):
    monkeypatch.setattr(make_module, "WHOLE_STACK_BYTES", 2000)
    binding = annotating((6, 40, 60))
    labels = binding.new_labels()
    document = binding.document
    across = BrushStroke(Plane((None, 7, None)), 5, box(1, 10, 3, 12))
    binding.edits.do(
        edits.paint(document, [across, BrushStroke(Plane((2, None, None)), 6, box(20, 0, 22, 2))])
    )
    whole = np.asarray(labels.data[0])
    assert np.argwhere(whole == 5).tolist() == [[1, 7, 10], [1, 7, 11], [2, 7, 10], [2, 7, 11]]
    assert (whole[2] == 6).sum() == 4
    binding.close()


# The brush, beside napari's own on an ordinary layer


def ordinary_and_live(monkeypatch, gestures, **options):
    """The labels, areas and steps after the same gestures on either kind of layer."""
    found = []
    for limit in (1 << 30, 0):
        monkeypatch.setattr(make_module, "LARGEST_PLANE", limit)
        said = Said()
        binding = annotating((600, 700), said, **options)
        labels = binding.new_labels()
        assert (pyramid_of(labels) is None) == (limit > 0)
        binding.viewer.layers.selection.active = labels
        gestures(binding, labels, Canvas(binding.viewer))
        data = labels.data if limit else labels.data[0]
        found.append((np.asarray(data).astype(int), binding.document.undo_label, said.sentences[-1:]))
        binding.close()
    return found


def brush(label, size, *path, erase=False, **settings):
    def gesture(binding, labels, canvas):
        binding.document.defaults = binding.document.defaults.__class__(**settings)
        labels.mode = "pan_zoom"
        labels.selected_label, labels.brush_size = label, size
        labels.mode = "erase" if erase else "paint"
        canvas.drag(labels, *path)

    return gesture


def undo(binding, _labels, _canvas):
    binding.edits.undo()


def preserve(_binding, labels, _canvas):
    labels.preserve_labels = True


STROKES = {
    "dot": [brush(1, 10, (50, 60))],
    "line": [brush(1, 7, (50, 60), (80.4, 300.7), (300, 310))],
    "small brush": [brush(1, 1, (250.2, 250.9), (260, 262))],
    "large brush": [brush(1, 300, (250, 250), (260, 280))],
    "over the edge": [brush(2, 31, (-3, 50), (20, -8)), brush(3, 30, (590, 640), (610, 720))],
    "erase": [brush(1, 40, (250, 250), (250, 400)), brush(1, 9, (240, 300), (262, 300), erase=True)],
    "erase two": [
        brush(1, 20, (100, 100), (100, 200)),
        brush(2, 20, (130, 100), (130, 200)),
        brush(1, 30, (115, 120), (115, 260), erase=True),
    ],
    "keep": [brush(1, 20, (100, 100), (100, 200)), brush(2, 20, (100, 150), (150, 150), rule=KEEP)],
    "overwrite": [brush(1, 20, (100, 100), (100, 200)), brush(2, 20, (100, 150), (150, 150), rule=OVERWRITE)],
    "preserve": [
        brush(1, 20, (100, 100), (100, 200)),
        preserve,
        brush(2, 20, (100, 150), (150, 150), rule=OVERWRITE),
    ],
    "undo": [brush(1, 20, (100, 100), (100, 200)), brush(1, 20, (100, 100), (150, 250)), undo],
}


@pytest.mark.parametrize("name", STROKES)
def test_the_brush_paints_as_naparis(name, monkeypatch):
    def gestures(*on):
        for gesture in STROKES[name]:
            gesture(*on)

    (ordinary, label, said), (live, live_label, live_said) = ordinary_and_live(monkeypatch, gestures)
    assert ordinary.any()
    np.testing.assert_array_equal(live, ordinary)
    assert live_label == label
    assert live_said == said


def test_the_brush_is_round_in_the_world(monkeypatch):
    gesture = brush(1, 40, (300, 200), (320, 260))
    (ordinary, *_), (live, *_) = ordinary_and_live(monkeypatch, gesture, scale=(1, 0.5))
    assert ordinary.any()
    np.testing.assert_array_equal(live, ordinary)


def test_a_polygon_is_filled(monkeypatch):
    def gesture(_binding, labels, _canvas):
        labels.paint_polygon(np.array([(100, 100), (100, 200), (200, 150)]), 1)

    _, (live, label, _) = ordinary_and_live(monkeypatch, gesture)
    # a triangle of base 101 and height 101 pixels
    assert abs(int(live.sum()) - 101 * 101 / 2) < 110
    assert live[150, 150] == 1
    assert live[150, 120] == 0
    assert label == "brush"


def test_a_stroke_is_seen_while_it_is_drawn(slide):
    labels = slide.new_labels()
    labels.mode, labels.brush_size, seen = "paint", 1, []

    def look():
        shown = np.asarray(labels.data[0][500:501, 500:540])
        seen.append((int((shown == 1).sum()), len(slide.document.objects)))

    Canvas(slide.viewer).drag(labels, (500, 500), (500, 509), (500, 519), each=look)
    assert seen == [(10, 0), (20, 0)]
    assert slide.document.pieces_of(1)[0].mask == box(500, 500, 501, 520)


def test_a_stroke_is_one_step_to_undo(slide):
    labels = slide.new_labels()
    labels.mode = "paint"
    Canvas(slide.viewer).drag(labels, (500, 500), (500, 600), (600, 600))
    assert slide.document.undo_label == "brush"
    slide.edits.undo()
    assert slide.document.undo_label == ""
    assert not np.asarray(labels.data[0][400:700, 400:700]).any()
    slide.edits.redo()
    assert np.asarray(labels.data[0][500, 550]) == 1


def test_a_click_picks_the_object_that_lies_there(slide):
    labels = slide.new_labels()
    paint(slide, 70_000, box(60_000, 60_000, 60_001, 60_001))
    labels.mode = "pick"
    Canvas(slide.viewer).click(labels, 60_000.3, 59_999.8)
    assert slide.current.number == 70_000
    Canvas(slide.viewer).click(labels, 60_000.3, 60_001.2)
    assert labels.selected_label == 0


def test_a_stroke_across_the_slide_is_refused_with_a_sentence():
    said = Said()
    binding = annotating((SLIDE, SLIDE), said)
    labels = binding.new_labels()
    labels.mode, labels.brush_size = "paint", 500
    Canvas(binding.viewer).drag(labels, (1000, 1000), (90_000, 90_000))
    assert said.sentences[-1] == TOO_LONG
    assert binding.document.pieces_of(1)[0].mask.area < 300_000
    binding.close()


def test_the_bucket_says_what_to_do_instead(slide):
    labels = slide.new_labels()
    labels.mode = "fill"
    assert labels.mode == "pan_zoom"


def test_a_layer_that_is_let_go_of_is_as_napari_makes_it(slide):
    labels = slide.new_labels()
    labels.mode = "paint"
    slide.labels = None
    assert not labels.editable
    assert labels.mode == "pan_zoom"
    assert "paint" not in vars(labels)
    slide.labels = labels
    assert labels.editable


def test_numbers_go_on_beyond_65535(slide):
    slide.new_labels()
    paint(slide, 65_536, box(0, 0, 2, 2))
    assert int(np.asarray(slide.labels.data[0][0, 0])) == 65_536
    assert slide.current.next() == 65_537


def test_another_image_of_the_same_pixels_shows_its_own_objects(slide):
    first = slide.image
    labels = slide.new_labels()
    paint(slide, 1, box(0, 0, 2, 2))
    other = slide.viewer.add_image(first.data, contrast_limits=(0, 255), name="other channel")
    slide.image = other
    paint(slide, 2, box(4, 4, 6, 6))
    assert np.unique(np.asarray(labels.data[0][:8, :8])).tolist() == [0, 2]
    slide.image = first
    assert np.unique(np.asarray(labels.data[0][:8, :8])).tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(SLIDE, SLIDE), (700, 1000, 1200)])
def test_a_saved_session_opens_as_a_pyramid_again(shape, tmp_path):
    binding = annotating(shape)
    document = binding.document
    places = [Plane((None, None))] if len(shape) == 2 else [Plane((z, None, None)) for z in (0, 650)]
    strokes = [
        BrushStroke(plane, 70_000 + number, box(900, 800, 960, 1100)) for number, plane in enumerate(places)
    ]
    assert binding.edits.do(edits.paint(document, strokes)) == ""
    record = Recorder().record(binding, binding.viewer.layers, {})
    folder = save_session(tmp_path / "s", record)
    again = annotating(shape)
    assert reopen(again, [(again.image, open_session(folder).images[0])]) == ""
    labels = again.labels
    assert pyramid_of(labels) is not None
    assert [layer for layer in again.viewer.layers if isinstance(layer, Labels)] == [labels]
    for number, plane in enumerate(places):
        shown = np.asarray(labels.data[0][plane.slices((895, 795, 70, 310))])
        assert (shown == 70_000 + number).sum() == 60 * 300
        assert np.count_nonzero(shown) == 60 * 300
    labels.mode, labels.selected_label, labels.brush_size = "paint", 70_000, 1
    again.viewer.dims.set_point(0, 0) if len(shape) == 3 else None
    Canvas(again.viewer).click(labels, 10, 10)
    assert again.document.piece(places[0], 70_000).mask.area == 60 * 300 + 1
    for one in (binding, again):
        one.close()


def duplicate(labels, viewer):
    """As napari's "Duplicate layer" does."""
    data, state, _ = labels.as_layer_data_tuple()
    return viewer.add_layer(Labels(deepcopy(data), **state))


def test_a_duplicate_keeps_what_was_shown_and_cannot_be_written(slide):
    labels = slide.new_labels()
    paint(slide, 1, box(0, 0, 3, 3))
    copied = duplicate(labels, slide.viewer)
    paint(slide, 2, box(6, 6, 8, 8))
    slide.edits.delete(1)
    assert (np.asarray(copied.data[0][:9, :9]) == 1).sum() == 9
    assert np.unique(np.asarray(copied.data[0][:9, :9])).tolist() == [0, 1]
    slide.labels = copied
    assert "several levels" in slide.masks.redraw()
    assert (np.asarray(copied.data[0][:9, :9]) == 1).sum() == 9


def test_the_highest_label_of_a_duplicate_needs_no_look_at_its_pixels(slide, monkeypatch):
    labels = slide.new_labels()
    paint(slide, 3, box(0, 0, 3, 3))
    copied = duplicate(labels, slide.viewer)
    monkeypatch.delattr(LivePyramid, "read")
    assert make_module.highest_label(copied) == 3


def test_strokes_go_to_the_plane_that_is_shown_and_nowhere_in_3d(monkeypatch):
    monkeypatch.setattr(make_module, "WHOLE_STACK_BYTES", 2000)
    binding = annotating((30, 40, 60))
    viewer, labels = binding.viewer, binding.new_labels()
    labels.mode, labels.brush_size = "paint", 1
    canvas = Canvas(viewer)
    viewer.dims.set_point(0, 3)
    canvas.click(labels, 10, 20)
    viewer.dims.ndisplay = 3
    canvas.click(labels, 11, 21)
    viewer.dims.ndisplay = 2
    assert np.argwhere(np.asarray(labels.data[0])).tolist() == [[3, 10, 20]]
    assert binding.document.planes == [Plane((3, None, None))]
    binding.close()


def test_cached_tiles_are_redrawn_where_objects_changed_at_every_level():
    """As a pyramid that is made anew, after objects were added, moved, changed, restacked and removed."""
    random = np.random.default_rng(0)
    shape, plane = (1500, 1300), Plane((None, None))
    lived, stack = LivePyramid(shape, (0, 1)), Stack()
    assert len(lived.levels) >= 3

    def drawn(pyramid):
        return [np.asarray(level) for level in pyramid.levels]

    for _ in range(25):
        label = int(random.integers(1, 12))
        kept = [one for one in stack.order if one != label]
        changes = {}
        if random.random() < 0.75:
            y, x = random.integers(0, 1100, 2)
            height, width = random.integers(1, 200, 2)
            changes[label] = label, box(int(y), int(x), int(y + height), int(x + width)), OVERWRITE
            kept.insert(int(random.integers(0, len(kept) + 1)), label)
        stack = stack.changed(tuple(kept), changes)
        lived.put(plane, stack, {label})
        anew = LivePyramid(shape, (0, 1))
        anew.put(plane, stack, set(stack.order))
        for one, other in zip(drawn(lived), drawn(anew), strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_edit_on_a_slide_reads_what_changed_since_the_last_write_alone(slide, monkeypatch):
    slide.new_labels()
    document, plane = slide.document, Plane((None, None))
    pieces = [Piece(n, plane, mask=box(300 * n, 10, 300 * n + 20, 40)) for n in range(1, 101)]
    assert slide.edits.do(edits.add(document, pieces, label="many")) == ""
    compared = []
    real = target.is_same
    monkeypatch.setattr(target, "is_same", lambda old, new: compared.append(new[0]) or real(old, new))
    assert slide.edits.do(edits.add(document, [Piece(101, plane, mask=box(5, 5, 9, 9))], label="one")) == ""
    slide.edits.undo()
    assert len(compared) < 5
    assert np.asarray(slide.labels.data[0][30_000:30_001, 20:21]) == 100
    assert np.asarray(slide.labels.data[0][6:7, 6:7]) == 0
