"""The parts of the panel, each on its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_samv1.app import actions
from napari_samv1.app.encoding import Encoding, EncodingStatus
from napari_samv1.app.gesture import Gesture
from napari_samv1.app.models import Choices, DownloadState
from napari_samv1.app.state import State
from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.settings import KEEP, OVERWRITE, ObjectSettings, Rule
from napari_samv1.widgets.panel.clean_up import CleanUpFields, summary
from napari_samv1.widgets.panel.encoding_bar import EncodingBar
from napari_samv1.widgets.panel.guide import Situation, next_step
from napari_samv1.widgets.panel.mask_choice import CandidateScores, MaskChoice, MaskPictures
from napari_samv1.widgets.panel.model_chooser import ModelChooser
from napari_samv1.widgets.panel.notice import Notice
from napari_samv1.widgets.panel.prompt_tools import PromptTools
from napari_samv1.widgets.panel.settings import Settings, Wishes
from napari_samv1.widgets.shared.look import StatusLines


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


def test_nothing_moves_when_an_encoding_starts_and_ends(qtbot):
    bar = _shown(qtbot, EncodingBar())
    heights = []
    for state in (Encoding.NOT_ENCODED, Encoding.ENCODING, Encoding.READY, Encoding.STALE):
        bar.show_status(EncodingStatus(state, "words", done=3, total=8))
        heights.append(bar.sizeHint().height())
    assert len(set(heights)) == 1


NARROW_PANEL = 290


def test_messages_and_guides_of_any_length_take_the_same_room(qtbot):
    notice = _shown(qtbot, Notice())
    notice.setFixedWidth(NARROW_PANEL)
    heights = []
    for sentence in ("", "Short.", "A very long message. " * 30):
        notice.show_message(sentence)
        qtbot.wait(20)
        heights.append((notice.height(), notice.sizeHint().height()))
        assert notice.guide.isVisible() == (not sentence)
    assert len(set(heights)) == 1
    assert notice.verticalScrollBar().maximum() > 0


def test_a_status_of_any_length_takes_the_same_room(qtbot):
    status = _shown(qtbot, StatusLines(2))
    status.setFixedWidth(NARROW_PANEL)
    heights = []
    for words in ("", "Saved.", "Saved in a folder with a very long name. " * 9):
        status.say(words)
        heights.append((status.height(), status.toolTip()))
    assert {height for height, _ in heights} == {status.height()}
    assert heights[-1][1].startswith("Saved in a folder")


def test_names_in_a_message_are_plain_text(qtbot):
    notice = _shown(qtbot, Notice())
    notice.show_message("<b>bold</b>")
    assert notice.message.textFormat() == Qt.TextFormat.PlainText


def test_a_stale_encoding_offers_to_encode_again(qtbot):
    bar = _shown(qtbot, EncodingBar())
    bar.show_status(EncodingStatus(Encoding.STALE, "contrast changed"))
    with qtbot.waitSignal(bar.encode_wanted):
        qtbot.mouseClick(bar.encode, Qt.MouseButton.LeftButton)
    assert bar.encode.text() == "Encode again"


def test_each_candidate_shows_its_scores_and_the_taken_one_is_framed(qtbot):
    choice = _shown(qtbot, MaskPictures())
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
    choice = _shown(qtbot, MaskPictures())
    green = np.zeros((64, 64, 3), dtype=np.uint8)
    green[..., 1] = 200
    choice.show_pictures([green])
    middle = [candidate.grab().toImage().pixelColor(28, 40) for candidate in choice.candidates]
    assert middle[0].getRgb()[:3] == (0, 200, 0)
    assert middle[1].getRgb()[:3] != (0, 200, 0)


def test_a_candidate_that_hardly_differs_says_so(qtbot):
    choice = _shown(qtbot, MaskPictures())
    red = np.zeros((64, 64, 3), dtype=np.uint8)
    red[..., 0] = 200
    choice.show_pictures([red] * 4, like=(2, 1, 2, 2))
    colours = [one.grab().toImage().pixelColor(28, 12).getRgb()[:3] for one in choice.candidates]
    assert [colour == (200, 0, 0) for colour in colours] == [False, True, True, False]
    assert "hardly differs from mask 3" in choice.candidates[0].toolTip()
    assert choice.candidates[1].like is None
    choice.show_pictures([red] * 4)
    assert "hardly differs" not in choice.candidates[0].toolTip()


def _value(qtbot, widget):
    _shown(qtbot, widget.native)
    return widget


def test_a_click_on_a_candidate_is_its_value_and_an_event(qtbot):
    mask = _value(qtbot, MaskChoice(name="mask"))
    told = []
    mask.changed.connect(told.append)
    qtbot.mouseClick(mask.pictures.candidates[1], Qt.MouseButton.LeftButton)
    assert mask.value == 1
    assert not mask.pictures.auto.isChecked()
    qtbot.mouseClick(mask.pictures.auto, Qt.MouseButton.LeftButton)
    assert mask.value == "auto"
    assert told == [1, "auto"]
    qtbot.mouseClick(mask.pictures.auto, Qt.MouseButton.LeftButton)
    assert mask.pictures.auto.isChecked()
    assert told == [1, "auto"]


@pytest.mark.parametrize("wrong", [4, -1, "Auto", None, True, 1.5])
def test_a_mask_that_does_not_exist_is_refused(wrong, qtbot):
    mask = _value(qtbot, MaskChoice(name="mask", value=3))
    with pytest.raises(ValueError, match='must be "auto", 0, 1, 2 or 3'):
        mask.value = wrong
    assert mask.value == 3


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
    done = []
    tools = _shown(qtbot, PromptTools(done.append))
    tools.show_state(State(tool="ellipse", polarity="negative"))
    assert done == []
    assert tools.background.isChecked()
    qtbot.mouseClick(tools.foreground, Qt.MouseButton.LeftButton)
    assert done == [actions.FOREGROUND]


def test_the_shape_s_button_is_the_shape_that_was_last_in_hand(qtbot):
    done = []
    tools = _shown(qtbot, PromptTools(done.append))
    tools.shapes["polygon"].trigger()
    tools.show_state(State(tool="polygon", shape="polygon"))
    assert tools.box.text() == "Polygon"
    tools.show_state(State(tool="click", shape="polygon"))
    qtbot.mouseClick(tools.box, Qt.MouseButton.LeftButton)
    assert done == [actions.SHAPES["polygon"], actions.SHAPE]
    assert tools.box.text() == "Polygon"
    assert tools.click.isChecked()


def test_with_the_eraser_in_hand_not_object_is_pressed_whatever_the_next_prompt_is(qtbot):
    tools = _shown(qtbot, PromptTools(lambda action: None))
    tools.show_state(State(tool="eraser", polarity="positive"))
    assert (tools.brush.isChecked(), tools.background.isChecked()) == (True, True)
    tools.show_state(State(tool="brush", polarity="negative"))
    assert (tools.brush.isChecked(), tools.foreground.isChecked()) == (True, True)


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
        sentences, ("Open", "Press Click", "Click on", "will appear", "Next object (N)"), strict=True
    ):
        assert word in sentence
    assert len(set(sentences)) == 5


def test_every_guide_fits_into_its_place(qtbot):
    notice = _shown(qtbot, Notice())
    notice.setFixedWidth(NARROW_PANEL)
    ready = replace(NOTHING_YET, has_image=True, has_model=True, encoding=Encoding.READY)
    tools = (None, "click", "box", "polygon", "ellipse", "scribble", "brush", "eraser", "pick")
    situations = [replace(ready, tool=tool, objects=2) for tool in tools]
    situations += [replace(one, prompts=1, has_mask=True, next_object_key="N") for one in situations]
    situations += [NOTHING_YET, replace(ready, in_3d=True), replace(ready, wants_download=True)]
    situations += [replace(ready, tool="click", foreign_label=12345)]
    situations += [replace(ready, tool="click", prompts=1, has_mask=True, refined=True)]
    for situation in situations:
        sentence = next_step(situation)
        notice.show_guide(sentence)
        assert notice.guide.heightForWidth(NARROW_PANEL) <= notice.height(), sentence


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


def test_clean_up_is_a_record_and_a_widget_for_each_field(qtbot):
    cleanup = _value(qtbot, CleanUpFields(name="cleanup"))
    told, grown = [], []
    cleanup.changed.connect(told.append)
    cleanup.grow.changed.connect(grown.append)
    qtbot.mouseClick(cleanup.fill_holes.native, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    cleanup.grow.value = 2
    assert told == [CleanUp(fill_holes=True), CleanUp(fill_holes=True, grow=2)]
    cleanup.value = CLEANED
    assert cleanup.value == told[-1] == CLEANED
    assert len(told) == 3
    assert grown == [2, -3]
    cleanup.value = {"grow": 4}
    assert cleanup.value == replace(CLEANED, grow=4)
    cleanup.value = None
    assert cleanup.value == CleanUp()


def test_a_refused_clean_up_changes_no_field(qtbot):
    cleanup = _value(qtbot, CleanUpFields(name="cleanup"))
    told = []
    cleanup.changed.connect(told.append)
    with pytest.raises(ValueError, match="grow must be from -20 to 20, got 21"):
        cleanup.value = CleanUp(fill_holes=True, grow=21)
    with pytest.raises(ValueError, match="grow must be a whole number"):
        cleanup.grow.value = 1.5
    assert cleanup.value == CleanUp()
    assert told == []


def test_the_folded_clean_up_says_what_it_does():
    assert summary(CleanUp(), KEEP) == ""
    assert summary(CLEANED, OVERWRITE) == "holes filled, largest piece, smooth 2.5, shrunk 3, over others"
    assert summary(CleanUp(drop_islands=50), Rule("inside", 4)) == "pieces from 50 px, inside 4"


def _settings(qtbot):
    wished = []
    made = Settings(
        Wishes(
            choice=lambda value: wished.append(("choice", value)),
            threshold=lambda value: wished.append(("threshold", value)),
            cleanup=lambda value: wished.append(("cleanup", value)),
            rule=lambda value: wished.append(("rule", value)),
            detail=lambda value: wished.append(("detail", value)),
        ),
        Choices(),
    )
    return _value(qtbot, made), wished


OF_AN_OBJECT = ObjectSettings(3, -2.5, CLEANED, Rule("inside", 4))


def test_showing_an_object_sets_values_with_events_and_without_a_wish(qtbot):
    settings, wished = _settings(qtbot)
    told = []
    for name in ("mask", "threshold", "cleanup", "rule", "inside"):
        settings[name].changed.connect(lambda value, name=name: told.append((name, value)))
    settings.show_settings(OF_AN_OBJECT)
    shown = {"mask": 3, "threshold": -2.5, "cleanup": CLEANED, "rule": "inside", "inside": 4}
    assert settings.asdict() == {**shown, "detail": "whole", "model": "tiny"}
    assert dict(told) == shown
    assert len(told) == len(shown)
    settings.show_settings(OF_AN_OBJECT)
    assert len(told) == len(shown)
    settings.show_settings(ObjectSettings())
    assert (settings.mask.value, settings.cleanup.value, settings.rule.value) == ("auto", CleanUp(), "keep")
    assert wished == []


def test_what_a_script_sets_is_wished_once(qtbot):
    settings, wished = _settings(qtbot)
    settings.show_settings(OF_AN_OBJECT)
    settings.threshold.value = 1.5
    settings.threshold.value = 1.5
    settings.mask.value = 3  # as it is
    settings.cleanup.grow.value = 2
    settings.cleanup.value = None
    settings.inside.value = 7
    settings.rule.value = "overwrite"
    assert wished == [
        ("threshold", 1.5),
        ("cleanup", replace(CLEANED, grow=2)),
        ("cleanup", None),
        ("rule", Rule("inside", 7)),
        ("rule", OVERWRITE),
    ]


def test_values_beyond_the_sliders_are_shown_as_they_are(qtbot):
    settings, wished = _settings(qtbot)
    beyond = ObjectSettings(0, 9.25, CleanUp(smooth=12, grow=-30, drop_islands=2_000_000))
    settings.show_settings(beyond)
    assert settings.threshold.value == 9.25
    assert settings.cleanup.value == beyond.cleanup
    assert wished == []


@pytest.mark.parametrize("wrong", [9, -8.5, float("nan")])
def test_a_threshold_out_of_range_is_refused(wrong, qtbot):
    settings, wished = _settings(qtbot)
    assert (settings.threshold.min, settings.threshold.max) == (-8, 8)
    with pytest.raises(ValueError, match=r"threshold must be from -8\.0 to 8\.0"):
        settings.threshold.value = wrong
    assert settings.threshold.value == 0
    assert wished == []


def test_the_label_to_stay_inside_of_shows_only_with_its_rule(qtbot):
    settings, wished = _settings(qtbot)
    settings.cleanup_part.open = True
    assert not settings.inside.native.isVisible()
    qtbot.keyClick(settings.rule.native, Qt.Key.Key_Down)
    qtbot.keyClick(settings.rule.native, Qt.Key.Key_Down)
    assert settings.inside.native.isVisible()
    settings.inside.value = 3
    assert [rule for _, rule in wished] == [OVERWRITE, Rule("inside", 1), Rule("inside", 3)]


def test_a_model_is_chosen_by_its_name_or_its_file(qtbot, tmp_path):
    settings, _ = _settings(qtbot)
    chosen, told = [], []
    settings.model.chooser.chosen.connect(chosen.append)
    settings.model.changed.connect(told.append)
    settings.model.value = "vit_b"
    assert settings.model.chooser.download.isVisibleTo(settings.model.native)
    with pytest.raises(ValueError, match="model must be one of tiny"):
        settings.model.value = "vit_x"
    path = tmp_path / "mine.pth"
    path.touch()
    settings.model.value = path
    assert settings.model.chooser.model.currentText() == "mine.pth"
    assert told == ["vit_b", str(path)]
    assert [choices.model for choices in chosen] == told


@pytest.mark.parametrize(("pause", "steps"), [(0.1, 1), (1.5, 3)])
def test_changes_that_follow_each_other_closely_are_one_gesture(pause, steps):
    now = iter(np.arange(3) * pause)
    gesture = Gesture(clock=lambda: float(next(now)))
    assert len({gesture.of("threshold", 1) for _ in range(3)}) == steps


def test_another_slider_or_another_object_is_another_gesture():
    gesture = Gesture(clock=lambda: 0.0)
    assert len({gesture.of("threshold", 1), gesture.of("smooth", 1), gesture.of("smooth", 2)}) == 3
