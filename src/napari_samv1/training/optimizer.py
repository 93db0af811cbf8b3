"""Adam for vectors and ends, Muon for the matrices between them.

Muon (Jordan et al. 2024) steps along the nearest orthogonal matrix to the gradient's running mean, so that
all directions of a layer learn at the same pace. In runs of minutes, it saves about half the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

MUON_RATE = 20.0
"""Muon's rate as a multiple of Adam's: a weight moves about as far per step with either."""
MOMENTUM = 0.95
Named = tuple[str, nn.Parameter]


def orthogonal(matrices: Tensor) -> Tensor:
    """About the nearest matrices with orthonormal rows or columns: five Newton-Schulz steps in bfloat16."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


def takes_muon(name: str, parameter: nn.Parameter) -> bool:
    """Return True for matrices of the encoder's blocks and the decoder's transformer, unless too large.

    In the TINY network these are all of their attention, and the encoder's MLPs.
    """
    inner = "image_encoder.stages" in name or "mask_decoder.transformer" in name
    wide = max(parameter.shape, default=0) > 1024
    return parameter.ndim == 2 and inner and not wide and "relative_position" not in name


class Optimizer:
    """Adam and Muon with one learning rate; ``takes`` is True for the parameters of Muon.

    A convolution's kernel counts as the matrix from its input patch to its channels.
    """

    def __init__(
        self,
        named: Iterable[Named],
        rate: float,
        decay: float,
        takes: Callable[[str, nn.Parameter], bool] = takes_muon,
    ) -> None:
        parameters = list(named)
        self.matrices = [p for name, p in parameters if takes(name, p)]
        self.momenta = [torch.zeros_like(p) for p in self.matrices]
        others = [p for name, p in parameters if not takes(name, p)]
        self.decay = decay
        self.adam = torch.optim.AdamW(
            [
                {"params": [p for p in others if p.ndim > 1], "weight_decay": decay},
                {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=rate,
            betas=(0.9, 0.98),
            fused=True,
        )

    def zero_grad(self) -> None:
        for parameter in self.matrices:
            parameter.grad = None
        self.adam.zero_grad(set_to_none=True)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step of both at Adam's learning rate ``rate``."""
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for parameter, momentum in zip(self.matrices, self.momenta, strict=True):
            if parameter.grad is None:
                continue
            momentum.lerp_(parameter.grad, 1 - MOMENTUM)
            ahead = parameter.grad.lerp(momentum, MOMENTUM)
            by_shape.setdefault(parameter.shape, []).append((parameter, ahead))
        for pairs in by_shape.values():
            matrices = torch.stack([ahead.flatten(1) for _, ahead in pairs])
            stretch = max(1.0, matrices.shape[1] / matrices.shape[2]) ** 0.5
            for (matrix, _), direction in zip(pairs, orthogonal(matrices), strict=True):
                matrix.mul_(1 - rate * self.decay)
                matrix.add_(direction.view_as(matrix), alpha=-MUON_RATE * rate * stretch)

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "momenta": self.momenta}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of an equal optimizer."""
        self.adam.load_state_dict(state["adam"])
        momenta: Sequence[Tensor] = state["momenta"]
        for momentum, saved in zip(self.momenta, momenta, strict=True):
            momentum.copy_(saved)
