"""The panel's part "Everything" in a real window: find, filter, accept, review, by mouse and keys."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import QApplication, QLabel

from discs import DiscPredictor
from napari_samv1.app import models
from napari_samv1.app.actions import DELETE_OBJECT, REDO, UNDO
from napari_samv1.app.everything import sureness
from napari_samv1.app.models import ReadyModel
from napari_samv1.batch.settings import SegmentSettings
from napari_samv1.layers.carried import is_same_place, placement
from napari_samv1.layers.labels import found_preview
from napari_samv1.layers.on_screen import camera_of
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.place import Region
from napari_samv1.widgets.automatic.review import IN_3D
from slide import Centres, Decoder, KnownView, Slide

LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier


class Known(Decoder):
    """Is surer of some objects than of others; waits before each answer while it is held."""

    def __init__(self, labels, predictor):
        super().__init__(labels)
        self.proposer = Centres(labels)
        self.predictor = predictor

    def iou_of(self, number):
        return 0.5 + (number * 37 % 50) / 100

    def stream(self, embedding, prompts, choose, *, batch):
        for answer in super().stream(embedding, prompts, choose, batch=batch):
            self.predictor.wait()
            yield answer


class KnownPredictor(DiscPredictor):
    """Finds the labels of an image that shows nothing but them, and answers clicks with discs."""

    def __init__(self):
        super().__init__()
        self.proposer = Centres(np.zeros((2, 2), int))
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.answers_left = None
        self.looked_at = []

    def hold_after(self, answers):
        """Give so many more answers, and then none until ``may_go_on`` is set."""
        self.answers_left = answers
        self.may_go_on.set()

    @property
    def is_held(self):
        return not self.may_go_on.is_set()

    def wait(self):
        self.may_go_on.wait(10)
        if self.answers_left is not None:
            self.answers_left -= 1
            if self.answers_left == 0:
                self.answers_left = None
                self.may_go_on.clear()

    def on_image(self, image, *, intensity, gamma, plane, cache):
        self.looked_at.append(threading.current_thread().name)
        hw = plane.shape_in(image.shapes[0])
        labels = image.read(Region(plane, (0, 0, *hw)), hw).astype(np.int32)
        return KnownView(labels, Known(labels, self))


@pytest.fixture
def known(monkeypatch):
    predictor = KnownPredictor()
    monkeypatch.setattr(models, "load", lambda choices, ticket: ReadyModel(choices, predictor, rate=1e12))
    yield predictor
    predictor.may_go_on.set()


@pytest.fixture(scope="module")
def slide():
    return Slide(hw=(200, 190), large=False).labels


@pytest.fixture
def everything(open_panel, known, slide, qtbot, hand_on):
    panel = open_panel()
    panel.viewer.add_image(slide.astype(np.uint16), name="slide")
    panel.viewer.reset_view()
    qtbot.waitUntil(lambda: panel.app.encoder.model is not None)
    qtbot.mouseClick(panel.everything_part.header, LEFT)
    panel.everything.settings = AutomaticSettings(detail=1.0, pred_iou_thresh=0.7, stability_score_thresh=0.0)
    qtbot.wait(80)
    yield panel.everything
    panel = None
    gc.collect()


def press(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, LEFT)
    QApplication.processEvents()


def panel_of(part):
    while not hasattr(part, "everything_part"):
        part = part.parentWidget()
    return part


def find(qtbot, part, where="image"):
    part.where.setCurrentIndex(part.where.findData(where))
    press(qtbot, part.begin)
    qtbot.waitUntil(lambda: part.begin.isEnabled(), timeout=30_000)
    qtbot.wait(60)


def numbers(labels):
    return set(np.unique(labels).tolist()) - {0}


def test_what_is_found_is_shown_apart_and_changes_nothing_of_the_users(everything, qtbot, known):
    viewer = everything.canvas.viewer
    mine = viewer.add_labels(np.full(everything.canvas.image.data.shape, 7, np.uint16), name="mine")
    before = [layer.name for layer in viewer.layers]
    find(qtbot, everything)
    preview = everything.preview.layer
    assert [layer.name for layer in viewer.layers if layer is not preview] == before
    assert (mine.data == 7).all()
    assert not preview.editable
    assert preview.data.dtype == np.uint16
    kept = everything.kept_on(next(iter(everything.findings.planes.values())))
    assert len(numbers(preview.data)) == len(kept) > 20
    assert str(len(kept)) in everything.accept.text()
    assert all(name.startswith("napari-samv1") for name in known.looked_at)
    assert not everything.canvas.document.objects
    # it is not offered for masks
    chooser = panel_of(everything).labels
    assert [layer.name for layer in viewer.layers if chooser._accepts(layer)] == ["mine"]
    press(qtbot, everything.drop)
    assert [layer.name for layer in viewer.layers] == before
    assert not everything.accept.isEnabled()


def test_a_slider_filters_at_once_and_decodes_nothing(everything, qtbot):
    find(qtbot, everything)
    before, decoded = len(numbers(everything.preview.layer.data)), Decoder.decodes
    everything.filters.sliders["pred_iou_thresh"].setValue(0.9)
    qtbot.waitUntil(lambda: len(numbers(everything.preview.layer.data)) < before)
    everything.filters.sliders["pred_iou_thresh"].setValue(0.0)
    qtbot.waitUntil(lambda: len(numbers(everything.preview.layer.data)) > before)
    every = len(numbers(everything.preview.layer.data))
    qtbot.mouseClick(everything.filters.border, LEFT)
    qtbot.waitUntil(lambda: len(numbers(everything.preview.layer.data)) < every)
    for edge in (everything.preview.layer.data[0], everything.preview.layer.data[:, -1]):
        assert not edge.any()
    assert Decoder.decodes == decoded


def test_accepting_makes_objects_in_one_step(everything, qtbot):
    binding = everything.canvas
    find(qtbot, everything)
    shown = everything.preview.layer.data > 0
    count = len(numbers(everything.preview.layer.data))
    press(qtbot, everything.accept)
    assert everything.preview.layer is None
    assert len(binding.document.objects) == count
    np.testing.assert_array_equal(binding.labels.data > 0, shown)
    assert {piece.origin for piece in binding.shown.objects.values()} == {"automatic"}
    assert binding.shown.pending == ()
    everything.app.do(UNDO)
    assert not binding.document.objects
    assert not binding.labels.data.any()
    everything.app.do(REDO)
    assert len(binding.document.objects) == count
    # looked at again there is nothing new
    find(qtbot, everything)
    assert not everything.accept.isEnabled()


def test_accepted_objects_lie_on_the_image_and_know_it_and_their_model(everything, qtbot):
    panel, binding = panel_of(everything), everything.canvas
    find(qtbot, everything)
    image, made_by = binding.image, panel.app.encoder.computation
    for change in ({"scale": (0.5, 0.25)}, {"rotate": 20}):
        for name, value in change.items():
            setattr(image, name, value)
        assert is_same_place(placement(everything.preview.layer), placement(image))
    # the session knows its image by these, also if nothing else was encoded
    assert panel.app.encoder.pixels[binding.screen.plane().key] == binding.screen.plane().pixels_hash()
    press(qtbot, everything.accept)
    masks = binding.labels.data.copy()
    assert masks.any()
    image.scale = (2, 2)
    assert is_same_place(placement(binding.labels), placement(image))
    assert np.array_equal(binding.labels.data, masks)
    panel.viewer.layers.remove(binding.labels)
    panel.app.do(UNDO)
    find(qtbot, everything)
    # another model may be loaded since
    panel.app.encoder._computation = None
    press(qtbot, everything.accept)
    assert np.array_equal(binding.labels.data, masks)
    answers = [piece.answer for piece in binding.shown.objects.values()]
    assert {answer.made_by for answer in answers} == {made_by}


def test_objects_and_labels_that_are_there_stay(everything, qtbot, slide):
    binding = everything.canvas
    labels = np.zeros(slide.shape, np.uint16)
    labels[slide == 3] = 900  # of another tool
    everything.canvas.viewer.add_labels(labels, name="mine")
    binding.labels = everything.canvas.viewer.layers["mine"]
    find(qtbot, everything)
    everything.filters.sliders["pred_iou_thresh"].setValue(0.0)
    qtbot.wait(80)
    press(qtbot, everything.accept)
    assert ((binding.labels.data == 900) == (slide == 3)).all()
    assert min(binding.document.objects) > 900
    assert not (binding.labels.data[slide == 3] != 900).any()


def test_cancelling_keeps_what_was_found_so_far(everything, qtbot, known):
    known.hold_after(30)
    press(qtbot, everything.begin)
    assert not everything.begin.isEnabled()
    qtbot.waitUntil(lambda: known.is_held and everything.findings.count > 5, timeout=10_000)
    press(qtbot, everything.cancel)
    known.may_go_on.set()
    qtbot.waitUntil(lambda: everything.begin.isEnabled(), timeout=10_000)
    assert "stopped before the end" in everything.status.text()
    assert everything.accept.isEnabled()
    press(qtbot, everything.accept)
    assert everything.canvas.document.objects


def test_a_run_that_ends_late_adds_nothing_to_the_next_one(everything, qtbot, known):
    find(qtbot, everything)
    count = everything.findings.count
    known.hold_after(30)
    press(qtbot, everything.begin)
    qtbot.waitUntil(lambda: known.is_held and everything.findings.count > 5, timeout=10_000)
    # forgotten, and begun again before it ended
    press(qtbot, everything.drop)
    everything.start()
    known.may_go_on.set()
    qtbot.waitUntil(lambda: everything.begin.isEnabled(), timeout=30_000)
    assert everything.findings.count == count
    assert everything.findings.is_complete


def test_all_slices_are_found_and_numbered_apart(everything, qtbot, slide):
    viewer = everything.canvas.viewer
    viewer.layers.clear()
    stack = np.stack([slide, slide[::-1], np.zeros_like(slide)]).astype(np.uint16)
    everything.canvas.image = viewer.add_image(stack, name="stack", scale=(3, 0.5, 0.5))
    viewer.dims.set_point(0, 0)
    qtbot.wait(60)
    find(qtbot, everything, "stack")
    preview = everything.preview.layer
    on_first = preview.data.reshape(slide.shape).copy()
    assert (on_first > 0)[slide == 0].mean() < 0.01
    viewer.dims.set_point(0, 3)
    qtbot.waitUntil(lambda: not np.array_equal(preview.data[0], on_first), timeout=5000)
    assert everything.preview.layer is preview
    np.testing.assert_array_equal(preview.translate, [3, 0, 0])
    np.testing.assert_array_equal(preview.scale, [3, 0.5, 0.5])
    assert preview.data.shape == (1, *slide.shape)
    viewer.dims.set_point(0, 6)
    qtbot.waitUntil(lambda: not preview.data.any(), timeout=5000)
    press(qtbot, everything.accept)
    labels = everything.canvas.labels.data
    first, second, third = (numbers(one) for one in labels)
    assert first
    assert second
    assert not third
    assert first.isdisjoint(second)


def test_the_preview_of_large_slices_shows_the_masks_of_each(everything, qtbot, slide, monkeypatch):
    monkeypatch.setattr(found_preview, "LARGEST_PLANE", 0)
    viewer = everything.canvas.viewer
    viewer.layers.clear()
    stack = np.stack([slide, slide[::-1]]).astype(np.uint16)
    everything.canvas.image = viewer.add_image(stack, name="stack", scale=(3, 0.5, 0.5))
    viewer.dims.set_point(0, 0)
    qtbot.wait(60)
    find(qtbot, everything, "stack")
    preview = everything.preview.layer
    assert preview.multiscale

    def is_shown_on(number):
        [plane] = [own for own in everything.findings.planes.values() if own.plane.index[0] == number]
        masks = plane.shown(everything.kept_on(plane))
        wanted = np.zeros(slide.shape, bool)
        for packed in masks.values():
            wanted[packed.crop().region] |= packed.crop().mask
        return np.array_equal(np.asarray(preview.data[0])[0] > 0, wanted) and wanted.any()

    assert is_shown_on(0)
    np.testing.assert_array_equal(preview.translate, [0, 0, 0])
    viewer.dims.set_point(0, 3)
    qtbot.waitUntil(lambda: is_shown_on(1), timeout=20_000)
    assert not is_shown_on(0)
    assert everything.preview.layer is preview
    np.testing.assert_array_equal(preview.translate, [3, 0, 0])
    # what is drawn on the screen is of this slice as well
    y, x = np.argwhere(np.asarray(preview.data[0])[0])[0]
    wanted = np.asarray(preview.data[0])[0][y, x]

    def is_under_the_pointer():
        found = preview.get_value((3, 0.5 * y, 0.5 * x), world=True)
        return found is not None and found[1] == wanted

    # a canvas that is drawn late says late which part of a level it shows
    viewer.reset_view()
    qtbot.waitUntil(is_under_the_pointer, timeout=20_000)


def test_only_what_is_on_the_screen_or_in_the_drawn_area(everything, qtbot, slide, hand_on):
    panel = panel_of(everything)
    viewer = panel.viewer
    everything.where.setCurrentIndex(everything.where.findData("area"))
    press(qtbot, everything.begin)
    assert "Draw the area" in everything.status.text()
    press(qtbot, everything.draw)
    layer = everything.area.layer
    assert viewer.layers.selection.active is layer
    layer.mode = "add_rectangle"
    hand = hand_on(panel)
    hand.drag((50, 40), (200, 180))
    assert len(layer.data) == 1
    # it is no prompt
    assert not panel.canvas.document.objects
    assert layer not in [panel.shapes.layer]
    for where, inside in (("area", True), ("rest", False)):
        find(qtbot, everything, where)
        shown = everything.preview.layer.data > 0
        area = np.zeros(shown.shape, bool)
        area[50:200, 40:180] = True
        assert shown.any()
        assert (shown & area).sum() / shown.sum() == pytest.approx(1.0 if inside else 0.0, abs=0.2)
    camera = camera_of(viewer)
    camera.zoom *= 4
    camera.center = (0, 150, 140)
    qtbot.wait(100)
    find(qtbot, everything, "view")
    rows, _ = np.nonzero(everything.preview.layer.data)
    assert np.ptp(rows) < 220
    assert everything.findings.count < 60
    # a line encloses nothing
    layer.data = []
    layer.add_lines([[10, 10], [60, 60]])
    everything.where.setCurrentIndex(everything.where.findData("area"))
    press(qtbot, everything.begin)
    assert everything.status.text().startswith("No polygon, rectangle or ellipse")


def test_a_review_keeps_corrects_and_deletes_by_keys(everything, qtbot, hand_on):
    panel = panel_of(everything)
    binding = everything.canvas
    hand = hand_on(panel)
    find(qtbot, everything)
    press(qtbot, everything.accept)
    count = len(binding.document.objects)
    # without a review the key deletes nothing
    panel.viewer.layers.selection.active = binding.labels
    hand.key(Qt.Key.Key_W)
    assert len(binding.document.objects) == count
    press(qtbot, everything.review.begin)
    order = sorted(binding.shown.objects.values(), key=lambda piece: (sureness(piece), piece.id))
    assert binding.current.number == order[0].id
    hand.key(Qt.Key.Key_K)
    assert binding.current.number == order[1].id
    hand.key(Qt.Key.Key_W)
    assert order[1].id not in binding.document.objects
    assert binding.current.number == order[2].id
    hand.key(Qt.Key.Key_J)
    assert panel.app.tools.tool == "click"
    assert binding.current.number == order[2].id
    y, x = order[2].drawn[0].vertices_yx[0]
    hand.click(y + 3, x)
    qtbot.waitUntil(lambda: len(binding.shown.get(order[2].id).drawn) == 2, timeout=5000)
    qtbot.waitUntil(lambda: not binding.shown.pending, timeout=10_000)
    # at the detail that it was found at, and not of the whole image
    corrected = binding.shown.get(order[2].id).answer.request
    assert corrected.detail == order[2].answer.request.detail == 1.0
    assert not corrected.embedding_key.frame.is_whole
    hand.key(Qt.Key.Key_K)
    assert binding.current.number == order[3].id
    everything.app.do(UNDO)
    everything.app.do(UNDO)
    assert order[1].id in binding.document.objects
    press(qtbot, everything.review.begin)
    hand.key(Qt.Key.Key_W)
    assert len(binding.document.objects) == count


def test_in_a_review_the_keys_undo_on_the_image_too(everything, qtbot, hand_on):
    panel, binding = panel_of(everything), everything.canvas
    hand = hand_on(panel)
    find(qtbot, everything)
    press(qtbot, everything.accept)
    count = len(binding.document.objects)
    panel.viewer.layers.selection.active = binding.image
    press(qtbot, everything.review.begin)
    hand.key(Qt.Key.Key_W)
    assert len(binding.document.objects) == count - 1
    panel.viewer.layers.selection.active = binding.image
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert len(binding.document.objects) == count
    press(qtbot, everything.review.begin)
    panel.viewer.layers.selection.active = binding.image
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert len(binding.document.objects) == count


def test_the_preview_lies_above_all_images(everything, qtbot, slide):
    viewer, image = everything.canvas.viewer, everything.canvas.image
    above = viewer.add_image(np.zeros_like(slide), name="above")
    assert everything.canvas.image is image
    find(qtbot, everything)
    assert viewer.layers.index(everything.preview.layer) > viewer.layers.index(above)


def test_it_is_said_only_while_true_that_undo_removes_what_was_made(everything, qtbot):
    find(qtbot, everything)
    press(qtbot, everything.accept)
    qtbot.wait(80)
    assert "made. Undo removes them." in everything.status.text()
    everything.app.do(UNDO)
    qtbot.waitUntil(lambda: not everything.status.text())


def test_the_scores_of_masks_that_are_not_known_are_dashes(everything, qtbot):
    panel = panel_of(everything)
    find(qtbot, everything)
    press(qtbot, everything.accept)
    panel.app.pick_object(min(everything.canvas.document.objects))
    qtbot.wait(80)
    texts = [label.text() for label in panel.findChildren(QLabel)]
    assert any(text.startswith("-\n-\n") for text in texts)
    assert not any("nan" in text for text in texts)


def test_a_review_shows_each_object_before_it_is_decided_on(everything, qtbot, slide):
    panel, review = panel_of(everything), everything.review
    viewer, binding = panel.viewer, everything.canvas
    viewer.layers.clear()
    stack = np.zeros((slide.shape[0], 3, slide.shape[1]), np.uint16)
    stack[:, 1] = slide
    viewer.add_image(stack, name="stack")
    viewer.dims.order = (1, 0, 2)
    qtbot.wait(80)
    find(qtbot, everything)
    press(qtbot, everything.accept)
    count = len(binding.document.objects)
    viewer.dims.order = (0, 1, 2)
    # an object of another orientation
    press(qtbot, review.begin)
    assert sorted(viewer.dims.displayed) == [0, 2]
    assert binding.shown.get(review.piece.id) is not None
    # removed otherwise
    panel.app.pick_object(review.piece.id)
    panel.app.do(DELETE_OBJECT)
    assert len(binding.document.objects) == count - 1
    second = review.piece
    assert binding.current.number == second.id
    viewer.dims.ndisplay = 3
    qtbot.wait(80)
    press(qtbot, review.keep)
    press(qtbot, review.delete)
    assert review.words.text() == IN_3D
    assert review.piece is second
    assert len(binding.document.objects) == count - 1
    # begun in 3D: the first press shows the object
    press(qtbot, review.begin)
    press(qtbot, review.begin)
    assert review.words.text() == IN_3D
    viewer.dims.ndisplay = 2
    qtbot.wait(80)
    press(qtbot, review.delete)
    assert review.piece.id == binding.current.number == second.id
    press(qtbot, review.delete)
    assert second.id not in binding.document.objects
    assert review.piece.id == binding.current.number != second.id


def test_the_settings_are_those_of_the_command(everything, qtbot, tmp_path):
    everything.filters.sliders["pred_iou_thresh"].setValue(0.75)
    everything.filters.across.setValue((5, 40))
    qtbot.mouseClick(everything.filters.border, LEFT)
    everything.mode.setCurrentIndex(everything.mode.findData("seeds"))
    press(qtbot, everything.folder)
    from napari_samv1.widgets.automatic.folder import FolderDialog

    [dialog] = everything.findChildren(FolderDialog)
    # the contrast limits of the layer are told, as they hold for all files
    assert any(
        "All images are seen at this image's limits" in one.text() for one in dialog.findChildren(QLabel)
    )
    # of an image without a file no folder is known
    assert not dialog.images.text() + dialog.outputs.text()
    assert not dialog.copy.isEnabled()
    dialog.images.setText("my images")
    assert dialog.outputs.text() == str(Path("my images") / "labels")
    dialog.file.setText(str(tmp_path))
    press(qtbot, dialog.copy)
    assert "is a folder: name a file" in dialog.said.text()
    dialog.file.setText(str(tmp_path / "mine.toml"))
    dialog.outputs.setText("labels")
    assert "'my images' --output labels" in dialog.command.toPlainText()
    press(qtbot, dialog.copy)
    assert QApplication.clipboard().text() == dialog.command.toPlainText()
    read = SegmentSettings.from_file(tmp_path / "mine.toml")
    assert read == everything.segment_settings
    assert read.automatic == everything.settings
    assert (read.automatic.pred_iou_thresh, read.automatic.mode) == (0.75, "seeds")
    # discs of 5 and 40 pixels across: pi / 4 times their squares
    assert (read.automatic.min_area, read.automatic.max_area) == (20, 1256)
    assert not read.automatic.keep_border
    press(qtbot, dialog.closing)


def test_another_image_or_other_pixels_forget_what_was_found(everything, qtbot, slide):
    viewer = everything.canvas.viewer
    find(qtbot, everything)
    viewer.layers["slide"].data = slide[::-1].astype(np.uint16)
    qtbot.waitUntil(lambda: everything.findings is None)
    assert everything.status.text().startswith("The masks found were discarded")
    assert everything.preview.layer is None
    find(qtbot, everything)
    everything.canvas.image = viewer.add_image(slide.astype(np.uint16), name="other")
    qtbot.waitUntil(lambda: everything.findings is None)
    find(qtbot, everything)
    viewer.layers.remove(everything.preview.layer)
    assert everything.findings is None


def test_hundreds_of_objects_are_one_reset_of_the_list_and_few_rows_painted(everything, qtbot):
    y, x = np.mgrid[:300, :200]
    labels = np.where((y % 10 < 7) & (x % 10 < 7), (y // 10) * 20 + x // 10 + 1, 0)
    viewer = everything.canvas.viewer
    everything.canvas.image = viewer.add_image(labels.astype(np.uint16), name="many")
    panel = panel_of(everything)
    everything.filters.sliders["pred_iou_thresh"].setValue(0.0)
    find(qtbot, everything)
    model = panel.objects.model
    told = {"reset": 0, "rows": 0, "changed": 0}
    model.modelReset.connect(lambda: told.update(reset=told["reset"] + 1))
    model.rowsInserted.connect(lambda *_: told.update(rows=told["rows"] + 1))
    model.dataChanged.connect(lambda *_: told.update(changed=told["changed"] + 1))
    asked = []
    data = model.data
    model.data = lambda index, role=0: asked.append(index.row()) or data(index, role)
    press(qtbot, everything.accept)
    qtbot.wait(100)
    assert len(everything.canvas.document.objects) == 600
    assert model.rowCount(QModelIndex()) == 601
    assert told["reset"] <= 2
    assert told["rows"] + told["changed"] < 20
    asked.clear()
    told.update(reset=0, rows=0, changed=0)
    panel.app.pick_object(300)
    qtbot.wait(50)
    assert told == {"reset": 0, "rows": 0, "changed": 0}
    assert len(set(asked)) < 60
