"""The dense head's training, on a network of a few thousand weights."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_samv1.checkpoints.dense import load_head
from napari_samv1.cli import main
from napari_samv1.model import Sam
from napari_samv1.records.calibration import BY_IOU, Calibration
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.preparation import BUNDLED
from napari_samv1.training import dense_main
from napari_samv1.training.dense_calibration import _fit, true_iou
from napari_samv1.training.dense_head import DenseRecipe, DenseRun, seed_loss, seed_targets
from small_run import SMALL

RECIPE = DenseRecipe(
    rounds=3, cooling=1 / 3, scenes=2, side=96, grids=((6, 6), (5, 8)), tokens=80, repeats=2, seed=5
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Sam(SMALL).eval().requires_grad_(False)


def run(folder, network, recipe=RECIPE, origin="some"):
    return DenseRun(folder, recipe, network, BUNDLED, origin=origin)


def test_a_run_that_was_cut_off_ends_in_the_same_weights(tmp_path, network):
    whole = run(tmp_path / "whole", network)
    whole.train()
    first = run(tmp_path / "cut", network)
    first.train(until=1)
    again = run(tmp_path / "cut", network)
    assert again.round == 1
    again.train()
    for name, tensor in whole.averaged().state_dict().items():
        assert torch.equal(tensor, again.averaged().state_dict()[name])
    assert (tmp_path / "cut/dense-curves.csv").read_text().count("\n") == 4


def test_processes_that_draw_ahead_change_no_weight(tmp_path, network):
    alone = run(tmp_path / "alone", network)
    alone.train()
    helped = DenseRun(tmp_path / "helped", RECIPE, network, BUNDLED, origin="some", workers=2)
    helped.train()
    for name, tensor in alone.averaged().state_dict().items():
        assert torch.equal(tensor, helped.averaged().state_dict()[name])


def test_a_run_may_be_made_longer_until_its_rate_falls(tmp_path, network):
    run(tmp_path, network).train(until=2)
    longer = replace(RECIPE, rounds=5)
    assert run(tmp_path, network, longer).round == 2
    run(tmp_path, network).train()
    with pytest.raises(ValueError, match="rate has begun to fall"):
        run(tmp_path, network, longer)
    with pytest.raises(ValueError, match="not from other weights"):
        run(tmp_path, network, origin="other weights")
    with pytest.raises(ValueError, match="another seed"):
        run(tmp_path, network, replace(RECIPE, seed=6))


def test_training_leaves_the_network_as_it_was(tmp_path, network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    run(tmp_path, network).train(until=1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_loss_falls(tmp_path, network):
    seen = []
    # so many scenes that those of one round are about as hard as those of the next
    recipe = replace(RECIPE, rounds=4, scenes=16, tokens=320, repeats=8, grids=((6, 6),) * 3, rate=3e-3)
    run(tmp_path, network, recipe).train(lambda _, figures: seen.append(figures["loss"]))
    assert np.mean(seen[-2:]) < 0.8 * seen[0]


def test_targets_of_a_square_are_as_counted_by_hand():
    labels = np.zeros((16, 16), np.uint16)
    labels[4:12, 6:14] = 7  # 4 x 4 pixels of the maps, rows 2 to 5, columns 3 to 6
    maps, weights = seed_targets(labels, 2)
    inside, rim, centre, down, right, radius = maps
    assert inside.sum() == 16
    assert rim[1:7, 2:8].sum() == 12 + 16  # its own outermost pixels, and those around it but for corners
    assert rim[3:5, 4:6].sum() == 0
    of_one = np.sqrt(16 / np.pi)
    assert down[2, 3] == pytest.approx(1.5 / of_one)
    assert right[5, 6] == pytest.approx(-1.5 / of_one)
    assert radius[4, 4] == pytest.approx(np.log(2 * of_one / 12))
    assert centre[3, 4] == centre.max()
    assert centre[0, 0] == down[0, 0] == radius[0, 0] == 0
    assert weights[3, 3] == pytest.approx(12 / (2 * of_one))
    assert weights[0, 0] == 1


def test_maps_that_are_right_lose_less_than_any_others():
    labels = np.zeros((32, 32), np.uint16)
    labels[4:20, 4:20], labels[20:30, 20:30] = 1, 2
    maps, weights = (torch.from_numpy(one)[None] for one in seed_targets(labels, 2))
    right = torch.cat([torch.logit(maps[:, :3], 1e-4), maps[:, 3:]], dim=1)
    best = float(seed_loss(right, maps, weights)[0])
    for channel in range(6):
        other = right.clone()
        other[:, channel] += 0.5
        assert float(seed_loss(other, maps, weights)[0]) > best


def test_a_fit_finds_the_factors_that_made_the_truth():
    rng = np.random.default_rng(0)
    given = np.column_stack([np.ones(4000), rng.uniform(0, 1, (4000, len(BY_IOU) - 1))])
    factors = np.array([0.1, 0.5, 0.2, 0.0, -0.3, 0.1, 0.0, 0.2])
    fitted = _fit([(*row, float(row @ factors)) for row in given])
    np.testing.assert_allclose(fitted, factors, atol=0.01)
    assert _fit([]) == Calibration().click


def test_the_true_iou_is_with_the_object_that_is_most_like():
    labels = np.zeros((8, 8), np.int64)
    labels[:4, :4], labels[4:, 4:] = 1, 2
    mask = np.zeros((8, 8), bool)
    mask[:4, :3], mask[4, 4] = True, True
    areas = np.bincount(labels.ravel())
    assert true_iou(MaskCrop.from_mask(mask), labels, areas) == pytest.approx(12 / 17)


def test_the_command_writes_a_head_that_loads(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(
        dense_main,
        "DenseRecipe",
        lambda seed: DenseRecipe(seed, 1, 1.0, 1, 96, ((6, 6),), 36, (0.8, 1.2), 1),
    )
    monkeypatch.setattr(dense_main, "calibrated", lambda predictor: Calibration(iou=0.5))
    path = tmp_path / "head.pt"
    command = ["train", "--dense-head", "tiny", "--work", str(tmp_path), "--export", str(path)]
    assert main(command) == 0
    assert load_head(path).calibration.iou == 0.5
    assert load_head(path).sha256 in caplog.text


def test_options_of_a_dense_head_need_its_model(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--rounds", "3"])
    assert exit_.value.code == 2
    assert "--dense-head" in capsys.readouterr().err
