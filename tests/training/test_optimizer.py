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
    shapes = [(8, 24), (24, 8), (8, 24), (8, 24)]
    named = [
        (f"image_encoder.stages.{i}.weight", nn.Parameter(torch.randn(shape)))
        for i, shape in enumerate(shapes)
    ]
    rate, decay = 0.01, 20.0
    optimizer = Optimizer(named, rate=0.1, decay=decay)
    wanted = [p.detach().clone() for _, p in named]
    momenta = [torch.zeros(shape) for shape in shapes]
    for _ in range(2):
        for i, (_, parameter) in enumerate(named[:3]):  # the last has no gradient
            parameter.grad = torch.randn_like(parameter)
            momenta[i] = MOMENTUM * momenta[i] + (1 - MOMENTUM) * parameter.grad
            ahead = MOMENTUM * momenta[i] + (1 - MOMENTUM) * parameter.grad
            stretch = 3**0.5 if i == 1 else 1
            wanted[i] = wanted[i] * (1 - rate * decay) - MUON_RATE * rate * stretch * orthogonal(ahead)
        optimizer.step(rate)
    for (_, parameter), one in zip(named, wanted, strict=True):
        assert torch.allclose(parameter, one, atol=0.01)
