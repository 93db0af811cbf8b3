"""Recomputed attention against an independent implementation that keeps its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.hint import hint_logits
from napari_samv1.engine.predictor import Predictor
from napari_samv1.inspection import block_attention, blocks_of, decoder_attention, model_input
from napari_samv1.model import SamConfig
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts

# 5 windows do not fill 9 tokens: the last ones are padded
ORACLE_CONFIG = SamConfig(
    width=24,
    depth=4,
    heads=2,
    stages=2,
    patch=4,
    grid=9,
    window=5,
    channels=32,
    decoder_heads=2,
    decoder_mlp=48,
    hint_channels=8,
)


def model_tests_oracle():
    path = Path(__file__).parent.parent / "model" / "conftest.py"
    spec = importlib.util.spec_from_file_location("model_oracle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
@torch.no_grad()
def twins():
    from transformers.models.sam.modeling_sam import SamVisionAttention

    oracle = model_tests_oracle()
    network = oracle.randomised(ORACLE_CONFIG)
    # a hint that differs from place to place by as much as the image does
    network.mask_decoder.mask_hint_encoder.widen.weight.mul_(200)
    theirs = oracle.twin(network)
    theirs.set_attn_implementation("eager")
    for layer in theirs.vision_encoder.layers:
        layer.attn.__class__ = SamVisionAttention  # the one that keeps its weights
    preparation = Preparation(side=36, sizing="stretched")
    return LoadedModel(network, ORACLE_CONFIG, preparation, "twin", "0"), theirs


@pytest.fixture(scope="module")
def square() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (36, 36, 3), dtype=np.uint8)


@torch.no_grad()
def test_every_token_of_every_block_looks_where_transformers_says(twins, square):
    model, theirs = twins
    given = model_input(model, square)
    attentions = []
    handles = [
        layer.attn.register_forward_hook(lambda _module, _inputs, output: attentions.append(output[1]))
        for layer in theirs.vision_encoder.layers
    ]
    theirs.vision_encoder(given.pixels_bchw)
    for handle in handles:
        handle.remove()
    heads, side = ORACLE_CONFIG.heads, ORACLE_CONFIG.grid
    assert [block.window for block in blocks_of(model.network)] == [5, 0, 5, 0]
    for block in range(ORACLE_CONFIG.depth):
        ours = block_attention(model, given, block)
        window = ours.block.window
        for row, column in ((0, 0), (4, 7), (6, 2), (8, 8)):
            look = ours.of_token((row, column))
            if ours.block.is_global:
                expected = attentions[block].reshape(heads, side * side, side, side)[:, row * side + column]
                np.testing.assert_allclose(look.maps_hyx, expected, atol=1e-6)
                continue
            # theirs: windows x heads, tokens of the window, tokens of the window
            per_window = attentions[block].reshape(-1, heads, window * window, window, window)
            which = (row // window) * 2 + column // window
            expected = per_window[which][:, (row % window) * window + column % window]
            top, left, rows, columns = look.window_yxhw
            seen = look.maps_hyx[:, top : top + rows, left : left + columns]
            np.testing.assert_allclose(seen, expected[:, :rows, :columns], atol=1e-6)
            np.testing.assert_allclose(
                look.padding_h, 1 - expected[:, :rows, :columns].sum((1, 2)), atol=1e-6
            )


def test_each_head_sums_to_one_and_stays_in_its_window(model, picture):
    given = model_input(model, picture)
    for block in blocks_of(model.network):
        look = block_attention(model, given, block.index).of_token((5, 7))
        np.testing.assert_allclose(look.maps_hyx.sum((1, 2)) + look.padding_h, 1, atol=1e-5)
        outside = np.ones(look.maps_hyx.shape[1:], dtype=bool)
        top, left, rows, columns = look.window_yxhw
        outside[top : top + rows, left : left + columns] = False
        assert not look.maps_hyx[:, outside].any()
        if not block.is_global:
            assert look.window_yxhw == (3, 6, 3, 2)
            assert (look.padding_h > 0).all()


def test_other_windows_can_be_asked_for(model, picture):
    given = model_input(model, picture)
    look = block_attention(model, given, 2, window_sizes=(3, 4)).of_token((5, 7))
    assert look.window_yxhw == (4, 4, 2, 4)


def test_a_block_or_token_that_is_not_there_is_refused(model, picture):
    given = model_input(model, picture)
    with pytest.raises(ValueError, match="blocks 0 to 3, got 4"):
        block_attention(model, given, 4)
    with pytest.raises(ValueError, match="6 x 8 tokens"):
        block_attention(model, given, 0).of_token((6, 0))


@torch.no_grad()
@pytest.mark.parametrize("area", [None, MaskCrop((5, 8), np.ones((12, 20), dtype=bool))])
def test_the_decoders_tokens_look_where_transformers_says(twins, square, area):
    model, theirs = twins
    predictor = Predictor(model)
    embedding = predictor.embed(square)
    prompts = Prompts(points_yx=[(12, 20), (30, 5)], labels=[1, 0], area=area)
    ours = decoder_attention(predictor, embedding, prompts)

    expected = []
    transformer = theirs.mask_decoder.transformer
    modules = [layer.cross_attn_token_to_image for layer in transformer.layers]
    handles = [
        module.register_forward_hook(lambda _module, _inputs, output: expected.append(output[1]))
        for module in [*modules, transformer.final_attn_token_to_image]
    ]
    points = (torch.tensor([[[[20.5, 12.5], [5.5, 30.5]]]])) - 0.5
    # the second point corrects the answer to the first, where no area is a hint already
    first = predictor.predict(embedding, Prompts(points_yx=[(12, 20)], labels=[1]))
    hint_hw = first.logits[first.best()] if area is None else hint_logits(area, embedding.frame)
    hint_b1hw = torch.from_numpy(hint_hw)[None, None]
    sparse, dense = theirs.prompt_encoder(points, torch.tensor([[[1, 0]]]), None, hint_b1hw)
    theirs.mask_decoder(
        image_embeddings=embedding.tokens_bchw.clone(),
        image_positional_embeddings=theirs.get_image_wide_positional_embeddings(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    for handle in handles:
        handle.remove()
    assert ours.layers == ("layer 1", "layer 2", "final look")
    assert ours.tokens == (
        "IoU token",
        *(f"mask token {i}" for i in range(4)),
        "point 1 (foreground)",
        "point 2 (background)",
        "no further point",
    )
    assert len(expected) == 3
    for layer, theirs_bhtn in enumerate(expected):
        theirs_thyx = theirs_bhtn.reshape(2, 8, 9, 9).transpose(0, 1)
        np.testing.assert_allclose(ours.maps_lthyx[layer], theirs_thyx, atol=1e-5)


@pytest.mark.parametrize(
    ("prompts", "last"),
    [
        (Prompts(points_yx=[(30, 40)], labels=[1]), "no further point"),
        (Prompts(boxes_yx=[(5, 6, 40, 60), (1, 2, 30, 50)]), "box 2, lower right"),
        (Prompts([(30, 40)], [0], [(5, 6, 40, 60)]), "box 1, lower right"),
    ],
)
def test_every_token_is_named_and_sums_to_one(predictor, picture, prompts, last):
    seen = decoder_attention(predictor, predictor.embed(picture), prompts)
    assert seen.maps_lthyx.shape == (3, len(seen.tokens), 2, 6, 8)
    assert seen.tokens[-1] == last
    np.testing.assert_allclose(seen.maps_lthyx.sum((-2, -1)), 1, atol=1e-5)


def test_the_decoder_s_attention_is_shown_in_float32_whatever_masks_are_decoded_in(model, picture):
    predictor = Predictor(model)
    embedding = predictor.embed(picture)
    prompts = Prompts(points_yx=[(12, 20), (30, 5)], labels=[1, 0])
    expected = decoder_attention(predictor, embedding, prompts)
    found = decoder_attention(Predictor(model.decoding_in("float16")), embedding, prompts)
    np.testing.assert_array_equal(found.maps_lthyx, expected.maps_lthyx)


def test_the_whole_image_is_looked_at_also_for_prompts_that_attend_to_a_part(predictor, picture):
    embedding = predictor.embed(picture)
    prompts = Prompts([(9, 9)], [1])
    expected = decoder_attention(predictor, embedding, prompts)
    found = decoder_attention(predictor, embedding, prompts.attending((-0.5, -0.5, 15.5, 15.5)))
    assert found.maps_lthyx.shape == expected.maps_lthyx.shape
    np.testing.assert_array_equal(found.maps_lthyx, expected.maps_lthyx)
