"""Grids, windows, batches, dtypes: what the network promises beyond equality."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_samv1.model import Sam, SamConfig
from napari_samv1.model.image_encoder import attention
from napari_samv1.model.image_encoder.attention import SelfAttention, attend
from napari_samv1.model.image_encoder.position_encoding import PositionEncoding
from napari_samv1.model.image_encoder.relative_position import offsets
from napari_samv1.model.image_encoder.windows import join_windows, split_windows


def test_the_learned_grid_is_used_as_it_is_bit_for_bit():
    positions = PositionEncoding(7, 5)
    positions.table_hwc.data.normal_()
    assert positions.at((7, 7)) is positions.table_hwc


def test_another_grid_is_the_table_resized_as_an_antialiased_image():
    positions = PositionEncoding(8, 1)
    ramp = torch.arange(8.0).repeat(8, 1)[..., None]
    positions.table_hwc.data.copy_(ramp)
    halved = positions.at((8, 4))[..., 0]
    # the triangle filter of width 2 at every second pixel: interior values are the pairs' means
    assert torch.allclose(halved[:, 1:3], torch.tensor([2.5, 4.5]).expand(8, 2))
    assert positions.at((3, 16)).shape == (3, 16, 1)


def test_relative_offsets_pick_the_row_of_query_minus_key():
    table = torch.arange(5.0)[:, None]  # offsets -2 .. 2 of three positions
    assert offsets(table, 3)[..., 0].tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]]


def test_relative_offsets_of_another_length_are_interpolated_linearly():
    table = torch.tensor([[0.0], [3.0], [6.0]])  # two positions
    # three positions need five rows: 3/5 old rows a step, centres at 0.6 * (i + 0.5) - 0.5, ends clamped
    assert torch.allclose(offsets(table, 3)[:, 0, 0], torch.tensor([3.0, 4.8, 6.0]))


@pytest.mark.parametrize("grid_hw", [(1, 1), (6, 6), (5, 7), (1, 9), (12, 4)])
@pytest.mark.parametrize("window", [1, 3, 14])
def test_joining_split_windows_restores_the_grid(grid_hw, window):
    tokens = torch.randn(2, *grid_hw, 3)
    windows = split_windows(tokens, window, torch.zeros(3))
    rows, columns = (-(-size // window) for size in grid_hw)
    assert windows.shape == (2, rows, columns, window, window, 3)
    assert torch.equal(join_windows(windows, grid_hw), tokens)


def test_windows_are_padded_below_and_to_the_right():
    tokens = torch.ones(1, 3, 2, 1)
    first, second = split_windows(tokens, 2, torch.tensor([9.0]))[0, :, 0]
    assert first[..., 0].tolist() == [[1, 1], [1, 1]]
    assert second[..., 0].tolist() == [[1, 1], [9, 9]]


def test_projecting_before_padding_equals_padding_normalised_tokens_with_zeros():
    torch.manual_seed(0)
    layer = SelfAttention(12, 2, 4)
    for parameter in layer.parameters():
        parameter.data.normal_()
    tokens = torch.randn(1, 5, 7, 12)
    padded = functional.pad(tokens, (0, 0, 0, 1, 0, 3))  # to 8 x 8
    tiles = padded.unfold(1, 4, 4).unfold(2, 4, 4).permute(0, 1, 2, 4, 5, 3).reshape(4, 4, 4, 12)
    whole = layer(tiles).reshape(2, 2, 4, 4, 12).transpose(1, 2).reshape(1, 8, 8, 12)
    assert torch.allclose(layer.within_windows(tokens, 4), whole[:, :5, :7], atol=1e-5)


@pytest.mark.parametrize("logits", [1, 7 * 30, 30 * 30, 3 * 30 * 30, 4 * 30 * 30])
@pytest.mark.parametrize("kernel", ["by products", "fused"])
def test_attention_in_chunks_equals_attention_at_once(monkeypatch, logits, kernel):
    torch.manual_seed(0)
    queries, keys, values = torch.randn(3, 4, 30, 5)
    by_row, by_column = torch.randn(4, 30, 5), torch.randn(4, 30, 6)
    term = (by_row[..., :, None] + by_column[..., None, :]).flatten(-2)
    expected = (queries @ keys.mT / 5**0.5 + term).softmax(-1) @ values
    monkeypatch.setattr(attention, "LOGITS_AT_ONCE", logits)
    monkeypatch.setattr(attention, "ROWS_AT_ONCE", 1)
    if kernel == "fused":  # what other devices run, run here
        monkeypatch.setattr(attention, "_attend_by_products", attention._attend_masked)
    assert torch.allclose(attend(queries, keys, values, by_row, by_column), expected, atol=1e-5)


@pytest.mark.parametrize(("grid_hw", "width"), [((5, 6), 5), ((9, 7), 16), ((16, 16), 32)])
def test_relative_terms_as_columns_of_queries_and_keys_give_plain_attention(grid_hw, width):
    torch.manual_seed(0)
    height, columns = grid_hw
    queries, keys, values = torch.randn(3, 4, height * columns, width)
    by_row, by_column = torch.randn(4, height * columns, height), torch.randn(4, height * columns, columns)
    term = (by_row[..., :, None] + by_column[..., None, :]).flatten(-2)
    expected = (queries @ keys.mT / width**0.5 + term).softmax(-1) @ values
    scaled = keys * width**-0.5
    got = attention._attend_by_columns(queries, scaled, values, by_row, by_column, None)
    assert torch.allclose(got, expected, atol=1e-5)
    kept = attention._attend_by_columns(
        queries, scaled, values, by_row, by_column, attention.places_on(grid_hw, keys)
    )
    assert torch.equal(kept, got)
    masked = attention._attend_masked(queries, scaled, values, by_row, by_column)
    assert torch.allclose(masked, expected, atol=1e-5)
    coarse = attention._attend_by_columns(
        *(x.bfloat16() for x in (queries, scaled, values, by_row, by_column)), None
    )
    assert functional.cosine_similarity(coarse.float().flatten(), expected.flatten(), dim=0) > 0.999


@pytest.mark.parametrize(
    ("grid_hw", "head_width", "as_columns"),
    [
        ((64, 64), 64, True),  # ViT-B and ViT-L: 192 wide
        ((64, 64), 80, True),  # ViT-H: 208
        ((14, 14), 64, False),  # a window
        ((32, 32), 64, True),
        ((31, 32), 64, False),
        ((96, 96), 64, True),  # exactly 256
        ((97, 96), 64, False),
    ],
)
def test_many_keys_get_the_relative_terms_as_columns_where_the_kernel_is_wide_enough(
    grid_hw, head_width, as_columns
):
    assert attention.terms_as_columns(grid_hw, head_width) is as_columns


def test_pieces_are_small_on_a_cpu_and_as_large_as_free_memory_allows_elsewhere(monkeypatch):
    from napari_samv1.model import layers

    asked = []
    monkeypatch.setattr(layers, "free_bytes", lambda device: asked.append(device) or 32_000_000_000)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert layers.at_once_on(cpu, 1000) == 1000
    with layers.room_measured(cpu):
        assert not asked
    assert layers.at_once_on(gpu, 1000) == 1_000_000_000  # an eighth, in float32
    with layers.room_measured(gpu):
        layers.at_once_on(gpu, 1000)
        layers.at_once_on(gpu, 1000)
    assert len(asked) == 2
    with layers.in_smaller_chunks(8):
        assert layers.at_once_on(gpu, 1000) == 125
    monkeypatch.setattr(layers, "free_bytes", lambda device: 0)
    assert layers.at_once_on(gpu, 1000) == 1000


@pytest.mark.parametrize("logits", [7 * 30, 3 * 30 * 30, 4 * 30 * 30])
def test_attention_in_training_has_the_gradients_of_attention_at_once(monkeypatch, logits):
    torch.manual_seed(0)
    shapes = [(4, 30, 5), (4, 30, 5), (4, 30, 5), (4, 30, 5), (4, 30, 6)]
    inputs = [torch.randn(shape, requires_grad=True) for shape in shapes]
    queries, keys, values, by_row, by_column = inputs
    term = (by_row[..., :, None] + by_column[..., None, :]).flatten(-2)
    expected = (queries @ keys.mT / 5**0.5 + term).softmax(-1) @ values
    toward = torch.randn_like(expected)
    monkeypatch.setattr(attention, "LOGITS_AT_ONCE", logits)
    monkeypatch.setattr(attention, "ROWS_AT_ONCE", 1)
    got = attend(*inputs)
    assert torch.allclose(got, expected, atol=1e-5)
    wanted = torch.autograd.grad(expected, inputs, toward)
    for one, other in zip(torch.autograd.grad(got, inputs, toward), wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("grid_hw", [(1, 1), (1, 13), (9, 9), (7, 12), (20, 3)])
@pytest.mark.parametrize("windows", [None, (1, 2, 5, 32)])
def test_any_token_grid_and_any_windows_work(small_sam, grid_hw, windows):
    config = small_sam.config
    height, width = grid_hw
    image = torch.randn(1, 3, height * config.patch, width * config.patch)
    tokens = small_sam.encode(image, window_sizes=windows)
    assert tokens.shape == (1, config.channels, height, width)
    prompts = small_sam.encode_prompts(torch.rand(1, 1, 2), torch.ones(1, 1), torch.empty(1, 0, 2, 2))
    logits, iou = small_sam.decode(tokens, prompts)
    assert logits.shape == (1, 4, 4 * height, 4 * width)
    assert logits.isfinite().all()
    assert iou.isfinite().all()


@torch.no_grad()
def test_the_trained_windows_are_the_default(small_sam):
    image = torch.randn(1, 3, 40, 28)
    assert torch.equal(small_sam.encode(image), small_sam.encode(image, window_sizes=(4, 4, 4, 4)))
    assert not torch.equal(small_sam.encode(image), small_sam.encode(image, window_sizes=(5, 4, 4, 4)))


@torch.no_grad()
def test_prompts_decoded_together_equal_prompts_decoded_alone(small_sam):
    config = small_sam.config
    tokens = torch.randn(1, config.channels, 6, 8)
    prompts = small_sam.encode_prompts(torch.rand(5, 2, 2), torch.ones(5, 2), torch.rand(5, 0, 2, 2))
    together = small_sam.decode(tokens, prompts)
    for index in range(5):
        logits, iou = small_sam.decode(tokens, prompts[index : index + 1])
        assert torch.allclose(together[0][index], logits[0], atol=1e-4)
        assert torch.allclose(together[1][index], iou[0], atol=1e-5)


@torch.no_grad()
def test_one_image_is_projected_once_for_many_objects_with_many_prompts(small_sam, monkeypatch):
    # so many tokens that folding them would not pay
    layer = small_sam.mask_decoder.transformer.layers[0].image_to_token
    image = torch.randn(1, 48, small_sam.config.channels)
    tokens = torch.randn(3, 40, small_sam.config.channels)
    assert not layer._worth_folding(40)
    sizes = []
    query = layer.query.forward
    monkeypatch.setattr(layer.query, "forward", lambda x: sizes.append(len(x)) or query(x))
    got = layer.many_to_few(image, tokens, tokens)
    assert sizes == [1]
    for one, own in zip(got, tokens, strict=True):
        torch.testing.assert_close(one[None], layer(image, own[None], own[None]))


@torch.no_grad()
def test_masks_drawn_in_one_piece_are_those_drawn_in_pieces(small_sam, monkeypatch):
    from napari_samv1.model.mask_decoder import mask_generator

    config, generator = small_sam.config, small_sam.mask_decoder.mask_generator
    image, tokens = torch.randn(2, 6, 8, config.channels), torch.randn(2, 4, config.channels)
    expected = generator(image, tokens)
    for room in (2 * config.channels * 20, 10**9):
        monkeypatch.setattr(mask_generator, "at_once_on", lambda device, most, room=room: room)
        torch.testing.assert_close(generator(image, tokens), expected)


@torch.no_grad()
def test_nothing_that_is_given_is_changed(small_sam):
    image = torch.randn(1, 3, 20, 24)
    tokens = small_sam.encode(image)
    points, labels, boxes = torch.rand(2, 3, 2), torch.ones(2, 3), torch.rand(2, 1, 2, 2)
    hint = torch.randn(2, 1, 20, 24)
    prompts = small_sam.encode_prompts(points, labels, boxes)
    given = [image, tokens, points, labels, boxes, hint, prompts]
    before = [x.clone() for x in given]
    small_sam.decode(small_sam.encode(image), small_sam.encode_prompts(points, labels, boxes), hint)
    small_sam.decode(tokens, prompts, hint)
    assert all(torch.equal(now, then) for now, then in zip(given, before, strict=True))


@torch.no_grad()
def test_bfloat16_is_close_and_keeps_coordinates_exact(small_config, make_random):
    exact = make_random(small_config)
    coarse = make_random(small_config).to(torch.bfloat16)
    assert torch.equal(coarse.coordinate_encoder.frequencies, exact.coordinate_encoder.frequencies)
    image = torch.randn(1, 3, 36, 20)
    close = torch.nn.functional.cosine_similarity(
        coarse.encode(image.bfloat16()).float().flatten(), exact.encode(image).flatten(), dim=0
    )
    assert close > 0.99
    prompts = coarse.encode_prompts(torch.rand(1, 1, 2), torch.ones(1, 1), torch.rand(1, 1, 2, 2))
    logits, iou = coarse.decode(coarse.encode(image.bfloat16()), prompts)
    assert logits.dtype == iou.dtype == torch.float32
    assert logits.isfinite().all()


@torch.no_grad()
def test_blocks_report_their_tokens_and_may_stop_the_encoding(small_sam):
    seen = []
    small_sam.encode(
        torch.randn(1, 3, 8, 12), on_block=lambda i, tokens: seen.append((i, tuple(tokens.shape)))
    )
    assert seen == [(i, (1, 2, 3, small_sam.config.width)) for i in range(small_sam.config.depth)]

    def stop(index, tokens):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small_sam.encode(torch.randn(1, 3, 8, 12), on_block=stop)


def test_wrong_sizes_are_refused_in_words(small_sam):
    with pytest.raises(ValueError, match="multiples of the patch size 4, got 8 x 10"):
        small_sam.encode(torch.zeros(1, 3, 8, 10))
    with pytest.raises(ValueError, match="4 positive sizes, one per stage"):
        small_sam.encode(torch.zeros(1, 3, 8, 8), window_sizes=(3, 3))
    with pytest.raises(ValueError, match="must be 8 x 12, four times the token grid"):
        small_sam.decode(torch.zeros(1, 32, 2, 3), torch.zeros(1, 1, 32), torch.zeros(1, 1, 12, 8))


@pytest.mark.parametrize("sizes", [{"heads": 5}, {"depth": 7}, {"channels": 24}])
def test_impossible_configurations_are_refused(sizes):
    with pytest.raises(ValueError, match="must be a multiple of"):
        SamConfig(**{"width": 32, "depth": 8, "heads": 4, **sizes})


def test_gradients_reach_every_parameter(small_config):
    sam = Sam(small_config)
    tokens = sam.encode(torch.randn(1, 3, 40, 36))
    prompts = torch.cat(
        [
            sam.encode_prompts(torch.rand(1, 2, 2), torch.tensor([[1, 0]]), torch.rand(1, 0, 2, 2)),
            sam.encode_prompts(torch.rand(1, 0, 2), torch.ones(1, 0), torch.rand(1, 1, 2, 2)),
        ],
        dim=1,
    )
    with_hint = sam.decode(tokens, prompts, torch.randn(1, 1, 40, 36))
    without = sam.decode(tokens, prompts)
    sum(x.square().sum() for x in (*with_hint, *without)).backward()
    assert [name for name, p in sam.named_parameters() if p.grad is None] == []
