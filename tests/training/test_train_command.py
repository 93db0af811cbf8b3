"""`napari-samv1 train`, from scenes to a model card, in a run of four steps."""

import json
from functools import partial

import pytest

from napari_samv1.checkpoints.load import load_model
from napari_samv1.cli import main
from napari_samv1.training import main as training
from napari_samv1.training.evaluate.images import coins
from napari_samv1.training.recipe import Recipe


@pytest.mark.slow
def test_a_run_cut_off_and_gone_on_with_writes_weights_curves_and_a_card(tmp_path, monkeypatch):
    small = partial(Recipe, late_scenes=64, grids=((8, 8),), late_grids=((8, 8),), tokens=64, dense_tokens=64)
    monkeypatch.setattr(training, "Recipe", small)
    monkeypatch.setattr(training, "_all_images", lambda folder: [("coins", [coins()])])
    steps = ["--dense-steps", "1", "--where-steps", "1", "--prompt-steps", "2", "--scenes", "64"]
    command = ["train", "--work", str(tmp_path), "--workers", "1", *steps]
    assert main([*command, "--until", "3"]) == 0
    folder = tmp_path / "run-0"
    assert not (folder / "tiny.pt").exists()
    assert main(command) == 0
    model = load_model(folder / "tiny.pt", preparation=load_model("tiny").preparation)
    card = (folder / "MODEL_CARD.md").read_text()
    assert model.sha256 in card
    assert "| coins | 24 |" in card
    assert "| mask 1 |" in card
    facts = json.loads(card.split("```json")[1].split("```")[0])
    assert facts["recipe"]["prompt_steps"] == 2
    assert facts["started from"] == "random weights"
    steps_seen = [line.split(",")[0] for line in (folder / "curves.csv").read_text().splitlines()]
    assert steps_seen == ["step", "1", "2", "3", "4"]
    for name in ("curves.png", "calibration.png", "curves_thinned.csv"):
        assert (folder / name).stat().st_size > 0
