"""Attention between two sets of tokens, of which one may be small."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Multi-head attention, in a width that may be reduced.

    Between thousands of image tokens and a dozen prompt tokens, projecting the many tokens costs most.
    ``few_to_many`` and ``many_to_few`` fold that projection into the few, with the same result:
    q . (W x) = (W'q) . x, and sum a (W x) = W (sum a x).
    """

    def __init__(self, channels: int, heads: int, reduce: int = 1) -> None:
        super().__init__()
        inner = channels // reduce
        self.heads = heads
        self.scale = (inner // heads) ** -0.5
        self.query = nn.Linear(channels, inner)
        self.key = nn.Linear(channels, inner)
        self.value = nn.Linear(channels, inner)
        self.projection = nn.Linear(inner, channels)

    def forward(self, queries_bnc: Tensor, keys_bmc: Tensor, values_bmc: Tensor) -> Tensor:
        keys, values = self.remember(keys_bmc, values_bmc)
        return self.recall(queries_bnc, keys, values)

    def remember(self, keys_bmc: Tensor, values_bmc: Tensor) -> tuple[Tensor, Tensor]:
        """Project keys and values, B heads M D, for any number of queries."""
        return self._by_head(self.key(keys_bmc)), self._by_head(self.value(values_bmc))

    def recall(self, queries_bnc: Tensor, keys_bhmd: Tensor, values_bhmd: Tensor) -> Tensor:
        """Attend to remembered keys and values; those of batch 1 serve all queries, uncopied."""
        batch, count, _ = queries_bnc.shape
        queries = self.query(queries_bnc)
        if len(keys_bhmd) == 1:
            queries = queries.reshape(1, batch * count, -1)
        mixed = self._mixed(self._by_head(queries), keys_bhmd, values_bhmd)
        return self.projection(mixed.reshape(batch, count, -1))

    def few_to_many(self, queries_btc: Tensor, keys_bnc: Tensor, values_bnc: Tensor) -> Tensor:
        """Attend from few queries to many tokens."""
        count = queries_btc.shape[1]
        if not self._worth_folding(count):
            return self(queries_btc, keys_bnc, values_bnc)
        queries = self._by_head(self.query(queries_btc)) * self.scale  # B H T D
        # without the key's bias: it adds the same to all logits of a query, which softmax cancels
        folded = torch.matmul(queries, self._head_weights(self.key)).flatten(1, 2)  # B HT C
        attention = torch.matmul(folded, keys_bnc.mT).softmax(-1)  # B HT N
        seen = torch.matmul(attention, values_bnc).unflatten(1, (self.heads, count))  # B H T C
        mixed = torch.matmul(seen, self._head_weights(self.value).mT).transpose(1, 2).flatten(2)  # B T HD
        return self.projection(mixed + self.value.bias)

    def many_to_few(self, queries_bnc: Tensor, keys_btc: Tensor, values_btc: Tensor) -> Tensor:
        """Attend from many tokens to few; queries of batch 1 serve all keys."""
        count = keys_btc.shape[1]
        if not self._worth_folding(count):
            batch = max(len(queries_bnc), len(keys_btc))
            queries = self._by_head(self.query(queries_bnc)).expand(batch, -1, -1, -1)
            return self.projection(self._mixed(queries, *self.remember(keys_btc, values_btc)))
        keys, values = self.remember(keys_btc, values_btc)
        keys = keys * self.scale
        folded = torch.matmul(keys, self._head_weights(self.query)).flatten(1, 2)  # B HT C
        constant = torch.matmul(keys, self.query.bias.view(self.heads, -1, 1)).flatten(1, 2)  # B HT 1
        logits = torch.matmul(folded, queries_bnc.mT) + constant  # B HT N
        # softmax over the last axis but one: as the last, the few keys would make short rows
        attention = logits.unflatten(1, (self.heads, count)).softmax(2).flatten(1, 2)
        to_channels = self.projection.weight.unflatten(1, (self.heads, -1)).permute(1, 2, 0)  # H D C
        # every head's attention sums to one, so that each adds its share of the bias
        seen = torch.matmul(values, to_channels) + self.projection.bias / self.heads
        return torch.matmul(attention.mT, seen.flatten(1, 2))

    def _mixed(self, queries_bhnd: Tensor, keys_bhmd: Tensor, values_bhmd: Tensor) -> Tensor:
        mixed = functional.scaled_dot_product_attention(queries_bhnd, keys_bhmd, values_bhmd)
        return mixed.transpose(1, 2).flatten(2)  # B N HD

    def _worth_folding(self, count: int) -> bool:
        return count * self.heads < self.key.out_features

    def _head_weights(self, linear: nn.Linear) -> Tensor:
        return linear.weight.unflatten(0, (self.heads, -1))  # H D C

    def _by_head(self, x_bnc: Tensor) -> Tensor:
        return x_bnc.unflatten(2, (self.heads, -1)).transpose(1, 2)  # B H N D
