"""Initial weights of training, which tell positions apart from the start.

Every choice is a starting value of the published network, nothing is added to it. From plain random weights
the prompted stage gives empty masks for hundreds of steps, because a mask token must first learn to read the
image token whose encoding equals the click's. Here the queries and keys of the decoder's cross-attention
start equal, so that their product is the kernel of the Fourier features: attention falls on the click from
the first step on.
"""

from __future__ import annotations

from math import e, log, pi
from typing import cast

import torch
from torch import Tensor, nn

from napari_samv1.model import Sam
from napari_samv1.model.mask_decoder.attention import Attention
from napari_samv1.model.mask_decoder.two_way_transformer import TwoWayLayer

CONTENT = 0.3
"""Initial standard deviation of the image tokens' channels; that of positions is 0.7."""


@torch.no_grad()
def initialise(network: Sam, seed: int) -> None:
    """Set every weight of a network in place; the same seed gives the same weights."""
    generator = torch.Generator().manual_seed(seed)

    def normal(parameter: Tensor, std: float) -> None:
        parameter.copy_(std * torch.randn(parameter.shape, generator=generator))

    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            fan_in = module.weight[0].numel()
            normal(module.weight, min(0.6 * fan_in**-0.5, 0.12))
            if module.bias is not None:
                module.bias.zero_()
    frequencies = network.coordinate_encoder.frequencies
    normal(frequencies, 1.0)
    # some positions coarse, for boxes across the image, some fine: small nuclei lie a token apart
    frequencies.mul_(torch.logspace(log(0.7), log(3), frequencies.shape[1], base=e).to(frequencies))
    _initialise_encoder(network)
    prompts = network.prompt_encoder
    for vector in (prompts.background, prompts.foreground, prompts.box_start, prompts.box_end):
        normal(vector, 0.5)
    normal(prompts.not_a_point, 0.6)
    decoder = network.mask_decoder
    normal(decoder.iou_token, 0.6)
    normal(decoder.mask_tokens, 0.6)
    normal(decoder.mask_hint_encoder.no_mask, 0.05)
    decoder.mask_hint_encoder.widen.weight.mul_(0.1)
    for index, module in enumerate(decoder.transformer.layers):
        layer = cast("TwoWayLayer", module)
        _mostly_itself(layer.self_attention, first=index == 0)
        _at_the_same_place(layer.token_to_image, generator, gain=2.0, through=1.0)
        # gentler, since far from the click the few tokens must weigh about the same
        _at_the_same_place(layer.image_to_token, generator, gain=1.5, through=1.0)
        layer.mlp.contract.weight.mul_(0.3)
    _at_the_same_place(decoder.transformer.final_token_to_image, generator, gain=2.0, through=1.0)


def _initialise_encoder(network: Sam) -> None:
    encoder = network.image_encoder
    depth = network.config.depth
    # small, because Adam moves every weight by the same amount per step, so that small weights turn sooner;
    # the scale of a layer with normalised output has no effect
    for name, module in encoder.stages.named_modules():
        if isinstance(module, nn.Linear):
            ends = name.endswith((".projection", ".mlp.contract"))
            module.weight.mul_(0.5 * depth**-0.5 if ends else 0.5)
    for module in (encoder.channel_projection.narrow, encoder.channel_projection.smooth):
        module.weight.mul_(0.35)
    network.mask_decoder.mask_generator.upscale_first.weight.mul_(0.5)
    # weaker than positions, so that attention learns places before contents
    encoder.channel_projection.norm_smooth.weight.fill_(CONTENT)
    encoder.patch_embedding.projection.weight.copy_(
        cosine_filters(network.config.patch, network.config.width)
    )
    table = encoder.position_encoding.table_hwc
    table.copy_(0.3 * waves(network.config.grid, network.config.width))


def cosine_filters(patch: int, width: int) -> Tensor:
    """The patch's discrete cosine basis, coarse to fine, grey before colour: width 3 patch patch.

    With a ``width`` of 3 * patch**2 no pixel values are lost. Fine filters are amplified, since images
    hold little of them.
    """
    steps = torch.arange(patch) + 0.5
    waves_ku = torch.cos(pi * torch.arange(patch)[:, None] * steps / patch)
    waves_ku = waves_ku / waves_ku.norm(dim=1, keepdim=True)
    planes = torch.einsum("ay,bx->abyx", waves_ku, waves_ku).flatten(0, 1)
    frequency = (torch.arange(patch)[:, None] + torch.arange(patch)).flatten()
    order = frequency.argsort(stable=True)
    planes = planes[order] * (0.4 * (1 + frequency[order]))[:, None, None]
    opponents = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-0.5, 1.0, -0.5]])
    opponents = opponents / opponents.norm(dim=1, keepdim=True)
    filters = [torch.einsum("c,fyx->fcyx", opponents[0], planes)]
    colour = torch.einsum("oc,fyx->focyx", opponents[1:], planes).flatten(0, 1)
    filters.append(colour)
    stacked = torch.cat(filters)
    if width > len(stacked):
        stacked = torch.cat([stacked, torch.zeros(width - len(stacked), 3, patch, patch)])
    return stacked[:width]


def waves(grid: int, width: int) -> Tensor:
    """Sines and cosines of rows and columns, grid grid width."""
    quarter = -(-width // 4)
    rates = torch.exp(-log(grid * 2) * torch.arange(quarter) / quarter) * pi / 2
    angles = torch.arange(grid)[:, None] * rates
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # grid, 2 * quarter
    both = torch.cat([axis[:, None].expand(-1, grid, -1), axis[None].expand(grid, -1, -1)], dim=2)
    return both[..., :width]


def _mostly_itself(attention: Attention, first: bool) -> None:
    """Let a prompt token pass on itself, and a mask token the mean of all, the click among them.

    In the first layer, where tokens have no residual, an even mean would make all of them equal, so that the
    image would read the same everywhere and masks would not depend on the prompt.
    """
    through = 1.0 if first else 0.5
    for linear, scale in (
        (attention.query, 0.7),
        (attention.key, 0.7),
        (attention.value, through),
        (attention.projection, 1.0),
    ):
        linear.weight.copy_(scale * torch.eye(*linear.weight.shape))


def _at_the_same_place(
    attention: Attention, generator: torch.Generator, *, gain: float, through: float
) -> None:
    """Attend where positions agree, and pass on the values there.

    Every head compares the sines and cosines of a few frequencies, coarse ones in the first head and fine
    ones in the last. (Random projections to a head's 16 channels drown them in the image's content.)
    """
    inner, channels = attention.query.weight.shape
    pairs = torch.linspace(0, channels // 2 - 1, inner // 2).round().long()
    chosen = torch.stack([pairs, pairs + channels // 2], dim=1).flatten()
    for linear in (attention.query, attention.key):
        linear.weight.zero_()
        linear.weight[torch.arange(inner), chosen] = gain
    basis, _ = torch.linalg.qr(torch.randn(channels, inner, generator=generator))
    attention.value.weight.copy_(through * basis.T)
    attention.projection.weight.copy_(basis)
