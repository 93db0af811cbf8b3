"""The parts of the panel, each on its own."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Qt

from napari_samv1.widgets.encoding_bar import Encoding, EncodingBar, EncodingStatus
from napari_samv1.widgets.guide import Situation, next_step
from napari_samv1.widgets.mask_choice import CandidateScores, MaskChoice
from napari_samv1.widgets.model_chooser import DownloadState, ModelChooser
from napari_samv1.widgets.prompt_tools import PromptTools
from napari_samv1.widgets.remembered import Choices


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


def test_each_candidate_shows_its_scores_and_the_taken_one_is_marked(qtbot):
    choice = _shown(qtbot, MaskChoice())
    candidates = [CandidateScores(0.91 - i / 10, 0.8) for i in range(4)]
    choice.show_scores(candidates, taken=2)
    assert [label.text() for label in choice._scores[1:]] == [
        "0.91\n0.80",
        "0.81\n0.80",
        "0.71\n0.80",
        "0.61\n0.80",
    ]
    assert [choice._buttons.button(i + 1).text() for i in range(4)] == ["1", "2", "3 ✓", "4"]


def test_a_click_on_a_candidate_is_reported_and_showing_a_choice_is_not(qtbot):
    choice = _shown(qtbot, MaskChoice())
    picked = []
    choice.candidate_picked.connect(picked.append)
    choice.threshold_moved.connect(picked.append)
    choice.show_choice(3, -2.5)
    assert picked == []
    assert choice.candidate == 3
    assert choice.threshold.value() == -2.5
    qtbot.mouseClick(choice._buttons.button(2), Qt.MouseButton.LeftButton)
    qtbot.mouseClick(choice._buttons.button(0), Qt.MouseButton.LeftButton)
    assert picked == [1, None]


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
    tools.object_picked.connect(said.append)
    tools.polarity_picked.connect(said.append)
    tools.show_object(7)
    tools.show_polarity(False)
    assert said == []
    assert tools.background.isChecked()
    qtbot.mouseClick(tools.foreground, Qt.MouseButton.LeftButton)
    assert said == [True]


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
