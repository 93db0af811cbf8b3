"""The network computes what the published one does: compared with an independent implementation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_samv1.model import VIT_B, SamConfig

TOLERANCE = 1e-4

# points in xy of the model input's 0..1, with labels; boxes as two xy corners
KINDS = {
    "one point": ([(0.3, 0.4)], [1], [], False),
    "several points": ([(0.3, 0.4), (0.6, 0.2), (0.9, 0.9)], [1, 1, 1], [], False),
    "a negative point": ([(0.3, 0.4), (0.5, 0.5)], [1, 0], [], False),
    "only negative": ([(0.5, 0.5)], [0], [], False),
    "a box": ([], [], [((0.1, 0.2), (0.7, 0.6))], False),
    "two boxes for one object": ([], [], [((0.1, 0.2), (0.4, 0.6)), ((0.5, 0.5), (0.9, 0.8))], False),
    "a box and points": ([(0.3, 0.4), (0.2, 0.5)], [1, 0], [((0.1, 0.2), (0.7, 0.6))], False),
    "a mask hint": ([], [], [], True),
    "a mask hint and points": ([(0.3, 0.4), (0.1, 0.1)], [1, 0], [], True),
    "nothing": ([], [], [], False),
}


def run_ours(sam, image_tokens, kind, hint):
    points, labels, boxes, with_hint = kind
    tokens = sam.encode_prompts(
        torch.tensor(points, dtype=torch.float32).reshape(1, -1, 2),
        torch.tensor(labels, dtype=torch.int64).reshape(1, -1),
        torch.tensor(boxes, dtype=torch.float32).reshape(1, -1, 2, 2),
    )
    return sam.decode(image_tokens, tokens, hint if with_hint else None)


def run_oracle(oracle, image_tokens, kind, hint):
    """The oracle's parts, fed one object's prompts: its own wrapper takes two boxes as two objects."""
    points, labels, boxes, with_hint = kind
    side = oracle.config.vision_config.image_size
    # the published code takes pixels and adds a half
    given = {}
    if points:
        given["input_points"] = torch.tensor(points).reshape(1, 1, -1, 2) * side - 0.5
        given["input_labels"] = torch.tensor(labels).reshape(1, 1, -1)
    if boxes:
        given["input_boxes"] = torch.tensor(boxes).reshape(1, -1, 4) * side - 0.5
    sparse, dense = oracle.prompt_encoder(
        given.get("input_points"),
        given.get("input_labels"),
        # one box a time: the boxes of one object are concatenated as tokens
        given["input_boxes"].reshape(1, -1, 4) if boxes and len(boxes) == 1 else None,
        hint if with_hint else None,
    )
    if len(boxes) > 1:
        corners = oracle.prompt_encoder._embed_boxes(given["input_boxes"])  # 1 boxes 2 C
        sparse = corners.reshape(1, 1, -1, corners.shape[-1])
    masks, iou = [], []
    for multimask in (False, True):
        logits, scores = oracle.mask_decoder(
            image_embeddings=image_tokens,
            image_positional_embeddings=oracle.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        masks.append(logits)
        iou.append(scores)
    return torch.cat(masks, 2)[:, 0], torch.cat(iou, 2)[:, 0]


@torch.no_grad()
def test_image_tokens_are_equal(small_sam, small_oracle, error):
    side = small_sam.config.side
    image = torch.randn(2, 3, side, side)
    image[:, :, :, side - 9 :] = 0  # padding, as a prepared image has it
    theirs = small_oracle.vision_encoder(image).last_hidden_state
    assert error(small_sam.encode(image), theirs) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_masks_and_scores_are_equal_for(kind, small_sam, small_oracle, error):
    config = small_sam.config
    image_tokens = torch.randn(1, config.channels, config.grid, config.grid)
    hint = torch.randn(1, 1, 4 * config.grid, 4 * config.grid) * 5
    logits, iou = run_ours(small_sam, image_tokens, kind, hint)
    their_logits, their_iou = run_oracle(small_oracle, image_tokens, kind, hint)
    assert logits.shape == (1, 4, 4 * config.grid, 4 * config.grid)
    assert error(logits, their_logits) < TOLERANCE
    assert (iou - their_iou).abs().max() < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize(
    "config",
    [
        SamConfig(width=16, depth=4, heads=1, patch=8, grid=5, window=14, channels=16, decoder_mlp=16),
        SamConfig(width=48, depth=12, heads=3, patch=2, grid=14, window=5, channels=64, decoder_mlp=32),
    ],
    ids=["one global block a stage", "windows that do not divide the grid"],
)
def test_other_sizes_are_equal_too(config, make_random, make_twin, error):
    sam = make_random(config)
    oracle = make_twin(sam)
    image = torch.randn(1, 3, config.side, config.side)
    tokens = sam.encode(image)
    assert error(tokens, oracle.vision_encoder(image).last_hidden_state) < TOLERANCE
    kind = KINDS["a box and points"]
    logits, iou = run_ours(sam, tokens, kind, None)
    their_logits, their_iou = run_oracle(oracle, tokens, kind, None)
    assert error(logits, their_logits) < TOLERANCE
    assert (iou - their_iou).abs().max() < TOLERANCE


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize(
    "config",
    [
        # a windowed and a global block of the same width, heads, window and grid
        replace(VIT_B, depth=2, stages=1),
        pytest.param(VIT_B, marks=pytest.mark.full),
    ],
    ids=["two blocks", "all blocks"],
)
def test_full_vit_b_is_equal(config, make_random, make_twin, error):
    sam = make_random(config)
    oracle = make_twin(sam)
    image = torch.randn(1, 3, 1024, 1024)
    image[:, :, 700:] = 0
    tokens = sam.encode(image)
    assert error(tokens, oracle.vision_encoder(image).last_hidden_state) < TOLERANCE
    hint = torch.randn(1, 1, 256, 256) * 5
    for name, kind in KINDS.items():
        logits, iou = run_ours(sam, tokens, kind, hint)
        their_logits, their_iou = run_oracle(oracle, tokens, kind, hint)
        assert error(logits, their_logits) < TOLERANCE, name
        assert (iou - their_iou).abs().max() < TOLERANCE, name
