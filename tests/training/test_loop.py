"""A run that is cut off ends where an uninterrupted one does; what it exports loads."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_samv1.checkpoints.load import load_model
from napari_samv1.model import Sam
from napari_samv1.records.preparation import BUNDLED
from napari_samv1.training.export import export, in_memory
from napari_samv1.training.loop import Run
from napari_samv1.training.recipe import Recipe
from small_run import RECIPE, SMALL, Scenes


@pytest.fixture
def begin(tmp_path):
    source = Scenes()

    def make(name, recipe=RECIPE):
        return Run(tmp_path / name, recipe, Sam(SMALL), BUNDLED, source)

    return make


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that has made all of its steps; to be looked at only."""
    run = Run(tmp_path_factory.mktemp("whole"), RECIPE, Sam(SMALL), BUNDLED, Scenes())
    run.train()
    return run


def test_a_run_cut_off_after_any_stage_ends_in_the_same_weights(begin, whole):
    for stop in (1, 3, 5):
        begin("cut").train(until=stop)
    resumed = begin("cut")
    assert resumed.step == 5
    resumed.train()
    assert resumed.step == whole.step == RECIPE.steps
    for (name, one), other in zip(whole.averaged().items(), resumed.averaged().values(), strict=True):
        assert torch.equal(one, other), name
    for one, other in zip(whole.head.parameters(), resumed.head.parameters(), strict=True):
        assert torch.equal(one, other)


def test_every_trained_stage_moves_the_weights_it_is_for(begin):
    run = begin("stages")
    before = {name: p.clone() for name, p in run.network.named_parameters()}
    run.train(until=2)
    patch, attention = "image_encoder.patch_embedding.projection.weight", "mask_decoder.iou_token"
    assert not torch.equal(run.network.get_parameter(patch), before[patch])
    assert torch.equal(run.network.get_parameter(attention), before[attention])
    seen = {name: p.clone() for name, p in run.network.named_parameters()}
    run.train(until=3)
    assert torch.equal(run.network.get_parameter(patch), seen[patch])
    assert not torch.equal(run.network.get_parameter(attention), seen[attention])


def test_the_curves_have_a_row_per_step(whole):
    with (whole.folder / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(float(row["dense"]) > 0 for row in rows[:2])
    assert float(rows[3]["loss"]) > 0


def test_another_recipe_does_not_go_on_from_the_state(whole):
    with pytest.raises(ValueError, match="another seed"):
        Run(whole.folder, replace(RECIPE, seed=1), Sam(SMALL), BUNDLED, Scenes())


def test_a_state_of_earlier_code_is_of_what_is_the_default_now(whole, tmp_path):
    state = torch.load(whole.state_path, weights_only=True)
    assert state["recipe"].pop("shard") == Recipe().shard
    torch.save(state, tmp_path / "state.pt")
    assert Run(tmp_path, RECIPE, Sam(SMALL), BUNDLED, Scenes()).step == RECIPE.steps
    with pytest.raises(ValueError, match="another shard"):
        Run(tmp_path, replace(RECIPE, shard=2), Sam(SMALL), BUNDLED, Scenes())


def test_a_run_from_other_weights_does_not_go_on_from_the_state(tmp_path):
    recipe = replace(RECIPE, dense_steps=0, where_steps=0)
    network = Sam(SMALL)

    def begin(origin, commit="1"):
        return Run(tmp_path, recipe, network, BUNDLED, Scenes(), origin=origin, commit=commit)

    begin("weights A").train(until=1)
    again = begin("weights A", "2")
    again.train(until=2)
    assert begin("weights A", "2").commits == ["1", "2"]
    with pytest.raises(ValueError, match="from weights A, not from weights B"):
        begin("weights B")
    with pytest.raises(ValueError, match="from weights A, not from random weights"):
        begin("")


def test_a_new_run_draws_no_curves_of_an_old_one(begin):
    begin("curves").train(until=3)
    (begin("curves").folder / "state.pt").unlink()
    begin("curves").train(until=1)
    with (begin("curves").folder / "curves.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1"]


def test_later_crops_come_from_the_late_scenes_and_then_on_larger_grids(tmp_path):
    class Flat(Scenes):
        def __init__(self, value):
            super().__init__()
            for scene in self.scenes:
                scene.image[:] = value

    recipe = replace(
        RECIPE, dense_steps=0, where_steps=1, prompt_steps=5000, late_share=1.0, large_grids=((7, 5),)
    )
    run = Run(tmp_path, recipe, Sam(SMALL), BUNDLED, Flat(0), late_source=Flat(200))
    seen = {step: run._draw(step)[0].image for step in (0, 1600, 1601, 4000, 4001)}
    is_late = {step: bool(np.median(image) > 30) for step, image in seen.items()}
    assert is_late == {0: False, 1600: False, 1601: True, 4000: True, 4001: True}
    assert [image.shape[:2] for image in seen.values()] == [(48, 48)] * 4 + [(56, 40)]


def test_exported_weights_load_by_their_path_and_differ_by_rounding_alone(whole, tmp_path):
    sha256 = export(whole.averaged(), SMALL, tmp_path / "small.pt")
    loaded = load_model(tmp_path / "small.pt", dtype="float32", preparation=BUNDLED)
    assert loaded.sha256 == sha256
    exact = in_memory(whole.averaged(), SMALL, BUNDLED, "exact").network.state_dict()
    for name, tensor in loaded.network.state_dict().items():
        assert torch.allclose(tensor, exact[name], rtol=1e-3, atol=1e-6), name
    frequencies = "coordinate_encoder.frequencies"
    assert torch.equal(loaded.network.state_dict()[frequencies], exact[frequencies])


def test_the_learning_rate_rises_at_the_start_of_each_stage_and_falls_to_its_end():
    recipe = Recipe(dense_steps=200, where_steps=100, prompt_steps=300)
    rates = [recipe.learning_rate(step) for step in range(recipe.steps)]
    for start, end in ((0, 199), (200, 299), (300, 599)):
        assert rates[start] < rates[start + 59] > rates[end]
    assert rates[450] == pytest.approx(0.5 * recipe.prompt_rate)
    assert rates[-1] == pytest.approx(0.02 * recipe.prompt_rate)


def test_a_short_run_gets_to_every_part_of_the_last_stage():
    recipe = Recipe(dense_steps=1, where_steps=1, prompt_steps=50)
    assert not recipe.is_late(2)
    assert recipe.is_late(22)
    assert recipe.grids_at(22) == recipe.grids
    assert recipe.grids_at(47) == recipe.large_grids
    assert recipe.dense_share(2) > 0
    assert recipe.dense_share(47) == 0
    assert recipe.correction_chance(2) == 0
    assert recipe.correction_chance(22) == recipe.corrected


def test_a_run_from_a_checkpoint_asks_as_the_end_of_the_first_did(tmp_path):
    recipe = replace(
        RECIPE, dense_steps=0, where_steps=0, prompt_steps=2, prompt_rate=Recipe.going_on().prompt_rate
    )
    assert recipe.is_late(0)
    assert recipe.correction_chance(0) == recipe.corrected
    longer = Recipe.going_on()
    assert longer.learning_rate(longer.steps // 2) == pytest.approx(longer.prompt_rate / 2)
    assert longer.learning_rate(longer.steps - 1) == pytest.approx(longer.prompt_rate / 50)
    first = Run(tmp_path / "first", RECIPE, Sam(SMALL), BUNDLED, Scenes())
    known = {name: tensor.clone() for name, tensor in first.network.state_dict().items()}
    run = Run(tmp_path / "second", recipe, first.network, BUNDLED, Scenes(), origin="the first")
    assert all(torch.equal(tensor, known[name]) for name, tensor in run.network.state_dict().items())
    run.train()
    with (run.folder / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["dense"] for row in rows] == ["", ""]
    assert all(float(row["loss"]) > 0 for row in rows)
    name = "image_encoder.patch_embedding.projection.weight"
    moved = (run.network.get_parameter(name) - known[name]).abs().max()
    assert 0 < moved < 1e-3
    kept = 0.3 * known[name] + 0.7 * run.averages[name]
    assert torch.allclose(run.averaged()[name], kept, atol=1e-7)
    assert not torch.equal(run.averaged()[name], run.averages[name])
    # what was trained is the same, whatever is kept
    alone = Run(run.folder, recipe, Sam(SMALL), BUNDLED, Scenes(), origin="the first", kept=0)
    assert alone.step == recipe.steps
    assert torch.equal(alone.averaged()[name], run.averages[name])
