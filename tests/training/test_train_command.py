"""`napari-samv1 train`, from scenes to a model card, in a run of four steps."""

import contextlib
import json
import logging

import pytest
import torch

from napari_samv1.checkpoints.load import load_model
from napari_samv1.cli import main
from napari_samv1.training import main as training
from napari_samv1.training.evaluate.images import TestImage, coins, held_out
from small_run import SMALL, SmallRecipe

STEPS = ("--dense-steps", "1", "--where-steps", "1", "--prompt-steps", "2")


def four_coins():
    """Four of the 24 coins."""
    test = coins()
    return TestImage("coins", test.image[95:150, 15:240], test.labels[95:150, 15:240])


@pytest.fixture(autouse=True)
def small_images(monkeypatch):
    """Four coins and one nested scene are scored, in place of whole images and eight scenes."""
    monkeypatch.setattr(training, "coins", four_coins)
    monkeypatch.setattr(training, "_all_images", lambda folder: [("coins", [four_coins()])])
    monkeypatch.setattr(training, "_nested_images", lambda: held_out("nested", 1, side=128))


def facts_of(card):
    return json.loads(card.split("```json")[1].split("```")[0])


@pytest.mark.slow
def test_runs_cut_off_or_gone_on_with_write_weights_curves_and_a_card(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(training, "Recipe", SmallRecipe)
    monkeypatch.setattr(training, "TINY", SMALL)
    common = ["train", "--work", str(tmp_path), "--objects", "2"]
    command = [*common, "--workers", "2", *STEPS]
    assert main([*command, "--until", "3", "--evaluate-every", "3"]) == 0
    assert sum("coins: click 0." in record.message for record in caplog.records) == 1
    folder = tmp_path / "run-0"
    assert not (folder / "tiny.pt").exists()
    assert main(command) == 0
    model = load_model(folder / "tiny.pt", preparation=load_model("tiny").preparation)
    card = (folder / "MODEL_CARD.md").read_text()
    assert model.sha256 in card
    assert "| coins | 2 |" in card
    assert "| mask 1 |" in card
    assert "trained from nothing" in card
    facts = facts_of(card)
    assert facts["recipe"]["prompt_steps"] == 2
    assert facts["started from"] == "random weights"
    steps_seen = [line.split(",")[0] for line in (folder / "curves.csv").read_text().splitlines()]
    assert steps_seen == ["step", "1", "2", "3", "4"]
    for name in ("curves.png", "calibration.png", "curves_thinned.csv"):
        assert (folder / name).stat().st_size > 0

    first = folder.rename(tmp_path / "first")  # the scenes of the seed are drawn
    common += ["--workers", "1", "--init", str(first / "tiny.pt")]
    assert main([*common, "--prompt-steps", "1", "--keep", "1"]) == 0
    # all of what it began from
    begun, ended = (
        torch.load(path, weights_only=True) for path in (first / "tiny.pt", folder / "trained.pt")
    )
    assert all(torch.equal(tensor, begun[name]) for name, tensor in ended.items())
    card = (folder / "MODEL_CARD.md").read_text()
    assert "trained further from a checkpoint" in card
    facts = facts_of(card)
    assert facts["started from"] == f"weights of sha256 {model.sha256}"
    assert facts["kept of that"] == 1
    assert (facts["recipe"]["dense_steps"], facts["recipe"]["prompt_steps"]) == (0, 1)
    assert len((folder / "curves.csv").read_text().splitlines()) == 2


def test_as_many_scenes_are_drawn_as_are_asked_for(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        training, "draw_pool", lambda folder, *, scenes, **_: asked.update({folder.name: scenes})
    )

    class Drawn(Exception):  # noqa: N818 - the end of what is looked at
        pass

    def stop(*_args, **_keywords):
        raise Drawn

    monkeypatch.setattr(training, "_start", stop)
    for scenes, late in ((8, 6), (1, 1), (4096, 3072)):
        with contextlib.suppress(Drawn):
            main(["train", "--work", str(tmp_path), "--scenes", str(scenes)])
        assert asked == {"scenes-0": scenes, "late-scenes-0": late}
    with pytest.raises(SystemExit):
        main(["train", "--scenes", "0"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--init", "tiny", "--keep", "1.5"], "expected a share from 0 to 1, got 1.5"),
        (["--keep", "0.5"], "--keep is for a run that starts from weights: give them with --init"),
    ],
)
def test_a_share_to_keep_is_one_of_something(given, message, capsys):
    with pytest.raises(SystemExit):
        main(["train", *given])
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_is_scored_on_as_many_objects_as_are_asked_for(capsys):
    assert main(["train", "--score", "tiny", "--objects", "3"]) == 0
    assert "| coins | 3 |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["train", "--score", "tiny", "--objects", "0"])
    assert "expected 1 or more, got 0" in capsys.readouterr().err


def test_the_help_says_that_a_person_s_own_images_are_not_learnt_from(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["train", "--help"])
    assert "it is not for your own images, which are only scored" in " ".join(capsys.readouterr().out.split())
