"""What the encoder prepares for a grid is kept, and made anew where the weights are others."""

from __future__ import annotations

import copy

import pytest
import torch

from napari_samv1.model.image_encoder import relative_position


@pytest.fixture
def sam(small_config, make_random):
    return make_random(small_config)


@pytest.fixture
def made(monkeypatch):
    """How often offsets were looked up since the list was cleared."""
    calls: list[int] = []
    offsets = relative_position.offsets
    monkeypatch.setattr(relative_position, "offsets", lambda table, n: calls.append(n) or offsets(table, n))
    return calls


def image(height, width, seed=0):
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def test_tables_are_made_once_for_a_grid(sam, made):
    first = sam.encode(image(36, 20))
    assert len(made) == 2 * sam.config.depth
    assert torch.equal(sam.encode(image(36, 20)), first)
    sam.encode(image(36, 20, seed=1))
    assert len(made) == 2 * sam.config.depth


@torch.inference_mode()
def test_other_grids_and_windows_have_their_own_and_only_a_few_are_kept(sam, made):
    for side in (8, 12, 16, 20):
        sam.encode(image(side, side))
    sam.encode(image(20, 20), window_sizes=(1, 2, 3, 4))
    assert len(made) == 5 * 2 * sam.config.depth
    assert len(sam.image_encoder._kept_tables) == 3
    sam.encode(image(8, 8))
    assert len(made) == 6 * 2 * sam.config.depth


def write(sam):
    with torch.no_grad():
        sam.image_encoder.stages[0].whole.attention.relative_position.height.add_(1)


def replace(sam):
    state = {name: tensor.clone() + 0.1 for name, tensor in sam.state_dict().items()}
    sam.load_state_dict(state, assign=True)


def swap(sam):
    norm = sam.image_encoder.stages[0].whole.norm_mlp
    norm.weight.data = norm.weight.data + 1


@pytest.mark.parametrize("change", [write, replace, swap])
def test_changed_weights_get_new_tables(change, sam):
    with torch.inference_mode():
        before = sam.encode(image(36, 20))
    change(sam)
    with torch.inference_mode():
        after = sam.encode(image(36, 20))
        fresh = copy.deepcopy(sam).encode(image(36, 20))
    assert not torch.equal(after, before)
    assert torch.equal(after, fresh)


def test_in_training_nothing_is_kept_and_gradients_reach_the_tables(sam):
    with torch.inference_mode():
        expected = sam.encode(image(36, 20))
    table = sam.image_encoder.stages[0].whole.attention.relative_position.height.requires_grad_()
    tokens = sam.encode(image(36, 20))
    torch.testing.assert_close(tokens, expected, atol=1e-5, rtol=1e-5)
    tokens.sum().backward()
    assert table.grad.abs().max() > 0
