"""What two boxes of the network share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of B C H W."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x_bchw: Tensor) -> Tensor:
        x_bhwc = x_bchw.permute(0, 2, 3, 1)
        normalised = functional.layer_norm(x_bhwc, self.weight.shape, self.weight, self.bias, self.eps)
        return normalised.permute(0, 3, 1, 2)


HIDDEN_AT_ONCE = 2**21
"""How many hidden values of an MLP exist at a time on a CPU, 8 MB in float32: they stay in its cache."""


class Mlp(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, width: int, hidden: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, tokens: Tensor) -> Tensor:
        rows = tokens.reshape(-1, tokens.shape[-1])
        at_once = max(1, HIDDEN_AT_ONCE // self.expand.out_features)
        if tokens.device.type != "cpu" or len(rows) <= at_once:
            return self._think(tokens)
        return torch.cat([self._think(some) for some in rows.split(at_once)]).view(tokens.shape)

    def _think(self, tokens: Tensor) -> Tensor:
        return self.contract(self.activation(self.expand(tokens)))
