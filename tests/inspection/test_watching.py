"""Watching the network changes nothing and leaves nothing behind."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from napari_samv1.inspection import (
    block_attention,
    blocks_of,
    decoder_attention,
    encode,
    listening,
    model_input,
    watch_blocks,
)


def hook_count(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


class StopError(Exception):
    pass


def test_the_input_is_the_predictors(model, predictor, picture):
    for sizing in ("native", "padded", "stretched"):
        embedding = predictor.embed(picture, sizing=sizing, side=48, intensity=(10, 200), gamma=0.8)
        given = model_input(model, picture, sizing=sizing, side=48, intensity=(10, 200), gamma=0.8)
        assert given.key == embedding.key
        assert given.frame == embedding.frame
        assert torch.equal(encode(model, given).tokens_bchw, embedding.tokens_bchw)


def test_other_windows_make_another_key_and_the_trained_ones_the_same(model, picture):
    given = model_input(model, picture)
    assert encode(model, given, window_sizes=(3, 3)).key == given.key
    other = encode(model, given, window_sizes=(2, 5))
    assert other.key != given.key
    assert not torch.equal(other.tokens_bchw, encode(model, given).tokens_bchw)


def test_a_watched_encoding_is_bit_for_bit_the_same(model, predictor, picture):
    plain = predictor.embed(picture)
    seen = watch_blocks(model, model_input(model, picture), keep_block=1)
    assert torch.equal(seen.embedding.tokens_bchw, plain.tokens_bchw)
    heard = []
    modules = {block.index: block.attention.qkv for block in blocks_of(model.network)}
    with listening(modules, lambda index, output: heard.append((index, output))):
        watched = predictor.embed(picture)
    assert [index for index, _ in heard] == [0, 1, 2, 3]
    assert torch.equal(watched.tokens_bchw, plain.tokens_bchw)


def test_a_watched_prediction_is_bit_for_bit_the_same(predictor, picture, click):
    embedding = predictor.embed(picture)
    before = predictor.predict(embedding, click)
    decoder_attention(predictor, embedding, click)
    after = predictor.predict(embedding, click)
    np.testing.assert_array_equal(before.logits, after.logits)
    np.testing.assert_array_equal(before.iou, after.iou)
    np.testing.assert_array_equal(predictor.embed(picture).tokens_bchw, embedding.tokens_bchw)


def test_hooks_are_removed_after_use(model, predictor, picture, click):
    given = model_input(model, picture)
    block_attention(model, given, 2)
    decoder_attention(predictor, predictor.embed(picture), click)
    watch_blocks(model, given)
    assert hook_count(model.network) == 0


def test_hooks_are_removed_when_listening_raises(model, predictor, picture):
    def fail(key, output):
        assert hook_count(model.network) == 1
        raise StopError

    def embed_listening():
        with listening({0: blocks_of(model.network)[0].attention.qkv}, fail):
            predictor.embed(picture)

    with pytest.raises(StopError):
        embed_listening()
    assert hook_count(model.network) == 0


def test_hooks_are_removed_when_one_cannot_be_made(model):
    qkv = blocks_of(model.network)[0].attention.qkv
    with pytest.raises(AttributeError), listening({0: qkv, 1: None}, lambda key, output: None):
        raise AssertionError("unreachable")
    assert hook_count(model.network) == 0


def test_hooks_are_removed_when_progress_cancels(model, picture):
    given = model_input(model, picture)

    def cancel(done, total):
        raise StopError

    with pytest.raises(StopError):
        block_attention(model, given, 2, on_progress=cancel)
    with pytest.raises(StopError):
        watch_blocks(model, given, on_progress=cancel)
    assert hook_count(model.network) == 0


def test_another_thread_is_not_heard(model, predictor, picture):
    heard = []
    with listening({0: blocks_of(model.network)[0].attention.qkv}, lambda key, output: heard.append(key)):
        thread = threading.Thread(target=predictor.embed, args=(picture,))
        thread.start()
        thread.join()
        assert heard == []
        predictor.embed(picture)
    assert heard == [0]
