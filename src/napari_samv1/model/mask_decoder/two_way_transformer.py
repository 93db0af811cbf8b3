"""Prompts and image attend to each other."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from napari_samv1.model.layers import Mlp
from napari_samv1.model.mask_decoder.attention import Attention

NORM_EPS = 1e-5


class TwoWayLayer(nn.Module):
    """Tokens attend to themselves, then to the image, pass an MLP, and the image attends to them."""

    def __init__(self, channels: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.self_attention = Attention(channels, heads)
        self.norm_self = nn.LayerNorm(channels, eps=NORM_EPS)
        self.token_to_image = Attention(channels, heads, reduce=2)
        self.norm_token = nn.LayerNorm(channels, eps=NORM_EPS)
        self.mlp = Mlp(channels, mlp, functional.relu)
        self.norm_mlp = nn.LayerNorm(channels, eps=NORM_EPS)
        self.image_to_token = Attention(channels, heads, reduce=2)
        self.norm_image = nn.LayerNorm(channels, eps=NORM_EPS)

    def first_self_attention(self, tokens: Tensor) -> Tensor:
        """Self-attention of tokens that equal their encoding; a residual would count it twice."""
        return self.norm_self(self.self_attention(tokens, tokens, tokens))

    def later_self_attention(self, tokens: Tensor, encoding: Tensor) -> Tensor:
        placed = tokens + encoding
        return self.norm_self(tokens + self.self_attention(placed, placed, tokens))

    def think(self, tokens: Tensor, attended: Tensor) -> Tensor:
        tokens = self.norm_token(tokens + attended)
        return self.norm_mlp(tokens + self.mlp(tokens))

    def answer(self, image: Tensor, placed_image: Tensor, tokens: Tensor, encoding: Tensor) -> Tensor:
        """Image tokens after attending to the prompts."""
        attended = self.image_to_token.many_to_few(placed_image, tokens + encoding, tokens)
        return self.norm_image(attended.add_(image))


class TwoWayTransformer(nn.Module):
    """Kirillov et al. 2023, figure 14. The prompt tokens' encoding is added again wherever they attend."""

    def __init__(self, channels: int, depth: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(channels, heads, mlp) for _ in range(depth))
        self.final_token_to_image = Attention(channels, heads, reduce=2)
        self.norm_final = nn.LayerNorm(channels, eps=NORM_EPS)

    def remember(self, image_bnc: Tensor, placed_image_bnc: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the first attention to an image, which depend on no prompt."""
        return self._layers[0].token_to_image.remember(placed_image_bnc, image_bnc)

    def forward(
        self,
        tokens_btc: Tensor,
        image_bnc: Tensor,
        placed_image_bnc: Tensor,
        encoding_bnc: Tensor,
        remembered: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Tokens B T C and image tokens B N C (or 1 N C, shared) -> both, attended.

        ``encoding_bnc`` is the grid's encoding, ``placed_image_bnc`` the image tokens with it added,
        ``remembered`` their keys and values from ``remember``.
        """
        encoding, image, placed = tokens_btc, image_bnc, placed_image_bnc
        first, *later = self._layers
        tokens = first.first_self_attention(encoding)
        if remembered is None:
            attended = first.token_to_image.few_to_many(tokens + encoding, placed, image)
        else:
            attended = first.token_to_image.recall(tokens + encoding, *remembered)
        tokens = first.think(tokens, attended)
        image = first.answer(image, placed, tokens, encoding)
        placed = image + encoding_bnc
        for layer in later:
            tokens = layer.later_self_attention(tokens, encoding)
            tokens = layer.think(tokens, layer.token_to_image.few_to_many(tokens + encoding, placed, image))
            image = layer.answer(image, placed, tokens, encoding)
            placed = image + encoding_bnc
        attended = self.final_token_to_image.few_to_many(tokens + encoding, placed, image)
        return self.norm_final(tokens + attended), image

    @property
    def _layers(self) -> list[TwoWayLayer]:
        return cast(list[TwoWayLayer], list(self.layers))
