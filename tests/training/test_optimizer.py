"""Muon's steps, many matrices at a time."""

import pytest
import torch
from torch import nn

from napari_samv1.training.optimizer import MOMENTUM, MUON_RATE, Optimizer, orthogonal


@pytest.mark.parametrize("shape", [(3, 16, 40), (3, 40, 16), (16, 16)])
def test_orthogonal_keeps_a_matrix_s_directions_and_makes_their_lengths_about_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    lengths = torch.linalg.svdvals(orthogonal(matrices))
    assert 0.6 < lengths.min() <= lengths.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    turned = left.mT @ orthogonal(matrices) @ right.mT  # diagonal where the directions are kept
    assert torch.allclose(turned, torch.diag_embed(turned.diagonal(dim1=-2, dim2=-1)), atol=0.05)


def test_matrices_that_are_stepped_together_move_as_each_would_alone():
    named = [
        (f"image_encoder.stages.{i}.weight", nn.Parameter(torch.randn(shape)))
        for i, shape in enumerate([(8, 24), (24, 8), (8, 24)])
    ]
    optimizer = Optimizer(named, rate=0.1, decay=0.5)
    before = [p.detach().clone() for _, p in named]
    for _, parameter in named[:2]:
        parameter.grad = torch.randn_like(parameter)
    optimizer.step(0.01)
    for (_, parameter), old, stretch in zip(named[:2], before, [1, 3**0.5], strict=False):
        ahead = parameter.grad * (1 - MOMENTUM) * MOMENTUM + parameter.grad * (1 - MOMENTUM)
        wanted = old * (1 - 0.01 * 0.5) - MUON_RATE * 0.01 * stretch * orthogonal(ahead)
        assert torch.allclose(parameter, wanted, atol=0.01)
    assert torch.equal(named[2][1], before[2])  # it has no gradient
