"""A token -> numbers: the quality of each mask, or the weights that draw one."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class ThreeLayerMlp(nn.Module):
    """Three linear layers with ReLU between them: the quality head, and the weights of each mask."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Linear(width, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, out)]
        )

    def forward(self, tokens: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(functional.relu(second(functional.relu(first(tokens)))))
