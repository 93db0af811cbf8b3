"""Prompts and image attend to each other."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.layers import Mlp

NORM_EPS = 1e-5


class CrossAttention(nn.Module):
    """Attention between two sets of tokens, in a width that may be reduced."""

    def __init__(self, channels: int, heads: int, reduce: int = 1) -> None:
        super().__init__()
        self.heads = heads
        inner = channels // reduce
        self.query = nn.Linear(channels, inner)
        self.key = nn.Linear(channels, inner)
        self.value = nn.Linear(channels, inner)
        self.projection = nn.Linear(inner, channels)

    def forward(self, queries_bnc: Tensor, keys_bmc: Tensor, values_bmc: Tensor) -> Tensor:
        queries = self._heads(self.query(queries_bnc))
        keys = self._heads(self.key(keys_bmc))
        values = self._heads(self.value(values_bmc))
        batch = max(len(queries), len(keys))
        queries, keys, values = (x.expand(batch, -1, -1, -1) for x in (queries, keys, values))
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        return self.projection(mixed.transpose(1, 2).flatten(2))

    def _heads(self, x_bnc: Tensor) -> Tensor:
        return x_bnc.unflatten(2, (self.heads, -1)).transpose(1, 2)  # B heads N D


class TwoWayLayer(nn.Module):
    """Tokens attend to themselves, then to the image, think, and the image attends to them."""

    def __init__(self, channels: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.self_attention = CrossAttention(channels, heads)
        self.norm_self = nn.LayerNorm(channels, eps=NORM_EPS)
        self.token_to_image = CrossAttention(channels, heads, reduce=2)
        self.norm_token = nn.LayerNorm(channels, eps=NORM_EPS)
        self.mlp = Mlp(channels, mlp, functional.relu)
        self.norm_mlp = nn.LayerNorm(channels, eps=NORM_EPS)
        self.image_to_token = CrossAttention(channels, heads, reduce=2)
        self.norm_image = nn.LayerNorm(channels, eps=NORM_EPS)

    def forward(
        self, tokens: Tensor, image: Tensor, token_encoding: Tensor, image_encoding: Tensor, first: bool
    ) -> tuple[Tensor, Tensor]:
        if first:
            # tokens are still their own encoding: adding it, or a residual, would count it twice
            tokens = self.self_attention(tokens, tokens, tokens)
        else:
            placed = tokens + token_encoding
            tokens = tokens + self.self_attention(placed, placed, tokens)
        tokens = self.norm_self(tokens)
        attended = self.token_to_image(tokens + token_encoding, image + image_encoding, image)
        tokens = self.norm_token(tokens + attended)
        tokens = self.norm_mlp(tokens + self.mlp(tokens))
        attended = self.image_to_token(image + image_encoding, tokens + token_encoding, tokens)
        return tokens, self.norm_image(image + attended)


class TwoWayTransformer(nn.Module):
    """Kirillov et al. 2023, figure 14. The tokens' own encoding is added again wherever they attend."""

    def __init__(self, channels: int, depth: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(channels, heads, mlp) for _ in range(depth))
        self.final_token_to_image = CrossAttention(channels, heads, reduce=2)
        self.norm_final = nn.LayerNorm(channels, eps=NORM_EPS)

    def forward(
        self, tokens_btc: Tensor, image_bnc: Tensor, image_encoding_bnc: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens B T C, image tokens B N C (or 1 N C, shared) and their encoding -> both, attended."""
        encoding = tokens_btc
        tokens, image = tokens_btc, image_bnc
        for index, layer in enumerate(self.layers):
            tokens, image = layer(tokens, image, encoding, image_encoding_bnc, first=index == 0)
        attended = self.final_token_to_image(tokens + encoding, image + image_encoding_bnc, image)
        return self.norm_final(tokens + attended), image
