"""The parts of the panel, each on its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.settings import KEEP, OVERWRITE, Rule
from napari_samv1.widgets.panel.clean_up import CleanUpControls
from napari_samv1.widgets.panel.encoding_bar import Encoding, EncodingBar, EncodingStatus
from napari_samv1.widgets.panel.gesture import Gesture
from napari_samv1.widgets.panel.guide import Situation, next_step
from napari_samv1.widgets.panel.mask_choice import CandidateScores, MaskChoice
from napari_samv1.widgets.panel.model_chooser import DownloadState, ModelChooser
from napari_samv1.widgets.panel.prompt_tools import PromptTools
from napari_samv1.widgets.shared.remembered import Choices


def _shown(qtbot, widget):
    qtbot.addWidget(widget)
    widget.show()
    return widget


def test_progress_and_cancel_show_only_while_encoding(qtbot):
    bar = _shown(qtbot, EncodingBar())
    bar.show_status(EncodingStatus(Encoding.NOT_ENCODED, "not encoded"))
    assert bar.encode.isVisible()
    assert not bar.progress.isVisible()
    bar.show_status(EncodingStatus(Encoding.ENCODING, "encoding", done=3, total=8))
    assert bar.progress.isVisible()
    assert (bar.progress.value(), bar.progress.maximum()) == (3, 8)
    assert not bar.encode.isVisible()
    with qtbot.waitSignal(bar.cancel_wanted):
        qtbot.mouseClick(bar.cancel, Qt.MouseButton.LeftButton)


def test_a_stale_encoding_offers_to_encode_again(qtbot):
    bar = _shown(qtbot, EncodingBar())
    bar.show_status(EncodingStatus(Encoding.STALE, "contrast changed"))
    with qtbot.waitSignal(bar.encode_wanted):
        qtbot.mouseClick(bar.encode, Qt.MouseButton.LeftButton)
    assert bar.encode.text() == "Encode again"


def test_each_candidate_shows_its_scores_and_the_taken_one_is_framed(qtbot):
    choice = _shown(qtbot, MaskChoice())
    areas = (950, 12_345, 1_234_567, None)
    choice.show_scores([CandidateScores(0.91 - i / 10, 0.8, area) for i, area in enumerate(areas)], taken=2)
    assert [label.text() for label in choice.scores] == [
        "0.91\n0.80\n950",
        "0.81\n0.80\n12k",
        "0.71\n0.80\n1.2M",
        "0.61\n0.80\n-",
    ]
    assert [candidate.taken for candidate in choice.candidates] == [False, False, True, False]
    assert "12345 pixels" in choice.candidates[1].toolTip()


def test_a_candidate_paints_its_picture_and_its_number(qtbot):
    choice = _shown(qtbot, MaskChoice())
    green = np.zeros((64, 64, 3), dtype=np.uint8)
    green[..., 1] = 200
    choice.show_pictures([green])
    middle = [candidate.grab().toImage().pixelColor(28, 40) for candidate in choice.candidates]
    assert middle[0].getRgb()[:3] == (0, 200, 0)
    assert middle[1].getRgb()[:3] != (0, 200, 0)


def test_a_click_on_a_candidate_is_reported_and_showing_a_choice_is_not(qtbot):
    choice = _shown(qtbot, MaskChoice())
    picked = []
    choice.candidate_picked.connect(picked.append)
    choice.threshold_moved.connect(picked.append)
    choice.show_choice(3, -2.5)
    assert picked == []
    assert choice.candidate == 3
    assert not choice.auto.isChecked()
    assert choice.threshold.value() == -2.5
    qtbot.mouseClick(choice.candidates[1], Qt.MouseButton.LeftButton)
    qtbot.mouseClick(choice.auto, Qt.MouseButton.LeftButton)
    assert picked == [1, None]
    qtbot.mouseClick(choice.auto, Qt.MouseButton.LeftButton)
    assert choice.auto.isChecked()


def test_the_threshold_covers_minus_eight_to_eight(qtbot):
    choice = _shown(qtbot, MaskChoice())
    assert (choice.threshold.minimum(), choice.threshold.maximum()) == (-8, 8)
    with qtbot.waitSignal(choice.threshold_moved) as moved:
        choice.threshold.setValue(1.5)
    assert moved.args == [1.5]


def test_a_model_that_is_not_on_disk_offers_its_download(qtbot):
    chooser = _shown(qtbot, ModelChooser(Choices(model="vit_b")))
    assert not chooser.is_ready_to_load
    assert "375 MB" in chooser.download.text()
    with qtbot.waitSignal(chooser.download_wanted) as wanted:
        qtbot.mouseClick(chooser.download, Qt.MouseButton.LeftButton)
    assert wanted.args == ["vit_b"]
    chooser.show_download(DownloadState("vit_b", 100_000_000, 375_000_000))
    assert chooser.progress.isVisible()
    assert "100 of 375 MB" in chooser.progress.format()
    with qtbot.waitSignal(chooser.cancel_wanted):
        qtbot.mouseClick(chooser.cancel, Qt.MouseButton.LeftButton)
    chooser.show_download(None)
    assert chooser.download.isVisible()
    assert not chooser.progress.isVisible()


def test_a_file_of_ones_own_brings_the_choice_of_its_preparation(qtbot, tmp_path):
    path = tmp_path / "mine.pth"
    path.touch()
    chooser = _shown(qtbot, ModelChooser(Choices()))
    assert not chooser.preparation.isVisible()
    with qtbot.waitSignal(chooser.chosen) as chosen:
        chooser.choose_file(path)
    assert chosen.args[0].model == str(path)
    assert chooser.preparation.isVisible()
    assert chooser.is_ready_to_load
    assert chooser.model.currentText() == "mine.pth"


def test_the_list_of_models_says_what_is_on_disk(qtbot):
    chooser = _shown(qtbot, ModelChooser(Choices()))
    texts = [chooser.model.itemText(i) for i in range(chooser.model.count())]
    assert texts[0] == "tiny  (bundled)"
    assert "vit_b  (↓ 375 MB)" in texts


def test_prompt_tools_report_a_person_and_not_the_program(qtbot):
    tools = _shown(qtbot, PromptTools())
    said = []
    tools.tool_wanted.connect(said.append)
    tools.polarity_picked.connect(said.append)
    tools.show_tool("ellipse")
    tools.show_polarity(False)
    assert said == []
    assert tools.background.isChecked()
    qtbot.mouseClick(tools.foreground, Qt.MouseButton.LeftButton)
    assert said == [True]


def test_the_shape_s_button_takes_the_shape_that_was_last_in_hand(qtbot):
    tools = _shown(qtbot, PromptTools())
    wanted = []
    tools.tool_wanted.connect(wanted.append)
    qtbot.mouseClick(tools.box, Qt.MouseButton.LeftButton)
    tools.shapes["polygon"].trigger()
    tools.show_tool("polygon")
    assert tools.box.text() == "Polygon"
    tools.show_tool("click")
    qtbot.mouseClick(tools.box, Qt.MouseButton.LeftButton)
    assert wanted == ["box", "polygon", "polygon"]


def test_with_the_brush_in_hand_not_object_is_the_eraser(qtbot):
    tools = _shown(qtbot, PromptTools())
    wanted, polarities = [], []
    tools.tool_wanted.connect(wanted.append)
    tools.polarity_picked.connect(polarities.append)
    qtbot.mouseClick(tools.brush, Qt.MouseButton.LeftButton)
    tools.show_tool("brush")
    qtbot.mouseClick(tools.background, Qt.MouseButton.LeftButton)
    tools.show_tool("eraser")
    tools.show_polarity(True)  # the prompts' own, meanwhile
    assert tools.background.isChecked()
    qtbot.mouseClick(tools.foreground, Qt.MouseButton.LeftButton)
    assert wanted == ["brush", "eraser", "brush"]
    assert polarities == []


NOTHING_YET = Situation(
    has_image=False,
    has_model=False,
    encoding=Encoding.NO_IMAGE,
    tool=None,
    prompts=0,
    has_mask=False,
    next_object_key="N",
)


def test_the_guide_leads_from_nothing_to_the_next_object():
    image = replace(NOTHING_YET, has_image=True, has_model=True, encoding=Encoding.NOT_ENCODED)
    clicking = replace(image, tool="click")
    waiting = replace(clicking, prompts=1, encoding=Encoding.ENCODING)
    done = replace(waiting, encoding=Encoding.READY, has_mask=True)
    sentences = [next_step(situation) for situation in (NOTHING_YET, image, clicking, waiting, done)]
    for sentence, word in zip(
        sentences, ("Open", "Press Click", "Click on", "follows", "Next object (N)"), strict=True
    ):
        assert word in sentence
    assert len(set(sentences)) == 5


def test_the_guide_explains_the_3d_view():
    assert "2D" in next_step(replace(NOTHING_YET, has_image=True, in_3d=True))


def test_the_guide_knows_every_tool():
    ready = replace(NOTHING_YET, has_image=True, has_model=True, encoding=Encoding.READY)
    tools = ("click", "box", "polygon", "ellipse", "scribble", "brush", "eraser", "pick")
    first = {next_step(replace(ready, tool=tool)) for tool in tools}
    assert len(first) == len(tools)
    corrected = {next_step(replace(ready, tool=tool, prompts=1, has_mask=True)) for tool in tools}
    assert len(corrected) == len(tools)


def test_the_guide_says_how_to_correct_a_label_of_another_tool():
    ready = replace(NOTHING_YET, has_image=True, has_model=True, encoding=Encoding.READY, tool="click")
    assert "Refine" in next_step(replace(ready, foreign_label=7))
    assert "Refine" not in next_step(replace(ready, foreign_label=7, prompts=1, has_mask=True))


def test_the_guide_says_how_to_come_back_to_an_earlier_object():
    done = replace(NOTHING_YET, has_image=True, has_model=True, encoding=Encoding.READY, tool="click")
    done = replace(done, prompts=1, has_mask=True)
    assert "Pick" not in next_step(replace(done, objects=1))
    assert "Pick" in next_step(replace(done, objects=2))


CLEANED = CleanUp(fill_holes=True, drop_islands=50, keep_largest=True, smooth=2.5, grow=-3)


def test_clean_up_shows_an_object_s_own_settings_and_reports_only_a_person_s(qtbot):
    controls = _shown(qtbot, CleanUpControls())
    said = []
    controls.cleanup_changed.connect(said.append)
    controls.rule_picked.connect(said.append)
    controls.show_settings(CLEANED, Rule("inside", 4))
    assert said == []
    assert (controls.cleanup, controls.painting_rule) == (CLEANED, Rule("inside", 4))
    controls.show_settings(None, KEEP)
    assert (controls.cleanup, controls.painting_rule, controls.summary) == (None, KEEP, "")
    qtbot.mouseClick(controls.fill_holes, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    controls.grow.setValue(2)
    assert said == [CleanUp(fill_holes=True), CleanUp(fill_holes=True, grow=2)]
    assert controls.summary == "holes filled, grown 2"


def test_the_label_to_stay_inside_of_shows_only_with_its_rule(qtbot):
    controls = _shown(qtbot, CleanUpControls())
    rules = []
    controls.rule_picked.connect(rules.append)
    assert not controls.inside.isVisible()
    qtbot.keyClick(controls.rule, Qt.Key.Key_Down)
    qtbot.keyClick(controls.rule, Qt.Key.Key_Down)
    assert controls.inside.isVisible()
    controls.inside.setValue(3)
    assert rules == [OVERWRITE, Rule("inside", 1), Rule("inside", 3)]


@pytest.mark.parametrize(("pause", "steps"), [(0.1, 1), (1.5, 3)])
def test_changes_that_follow_each_other_closely_are_one_gesture(pause, steps):
    now = iter(np.arange(3) * pause)
    gesture = Gesture(clock=lambda: float(next(now)))
    assert len({gesture.of("threshold", 1) for _ in range(3)}) == steps


def test_another_slider_or_another_object_is_another_gesture():
    gesture = Gesture(clock=lambda: 0.0)
    assert len({gesture.of("threshold", 1), gesture.of("smooth", 1), gesture.of("smooth", 2)}) == 3
