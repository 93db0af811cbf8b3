"""Encodings by recordings: a device that records is played by one that does the work again."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest
import torch

from napari_samv1.engine import frugal, staged
from napari_samv1.engine.frugal import encode_frugally
from napari_samv1.engine.predictor import Predictor
from napari_samv1.engine.progress import Cancelled
from napari_samv1.engine.staged import StagedEncoder, staged_encoder
from napari_samv1.model.capture import Recording
from napari_samv1.records.preparation import Preparation
from small_model import picture, random_model


def pixels(height=64, width=64, seed=0):
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


class Recorder:
    """Records as CUDA does: fixed memory is read and written, and recording itself computes nothing."""

    def __init__(self, monkeypatch, nbytes=100, memory=10**9):
        self.recorded, self.replayed, self.error = 0, 0, None
        self.nbytes = nbytes
        for module in (staged, frugal):
            monkeypatch.setattr(module, "can_record", lambda device: True)
        monkeypatch.setattr(staged, "record", self.record)
        monkeypatch.setattr(staged, "total_bytes", lambda device: memory)

    def record(self, work, device, pool=None):
        if self.error is not None:
            raise self.error
        self.recorded += 1
        output = torch.full_like(work(), torch.nan)

        def replay():
            self.replayed += 1
            output.copy_(work())

        return Recording(replay, output, self.nbytes, pool or object())


@pytest.fixture
def network():
    return random_model(Preparation(side=64)).network


@pytest.fixture
def recorder(monkeypatch):
    return Recorder(monkeypatch)


def test_the_second_encoding_of_a_size_is_recorded_and_later_ones_are_replayed(network, recorder):
    encoder = StagedEncoder(network)
    stages = network.config.stages
    for seed, (recorded, replayed) in enumerate([(0, 0), (stages, stages), (stages, 2 * stages)]):
        got = encoder.encode(pixels(seed=seed))
        with torch.inference_mode():
            assert torch.equal(got, network.encode(pixels(seed=seed)))
        assert (recorder.recorded, recorder.replayed) == (recorded, replayed)


def test_what_came_of_one_image_is_not_overwritten_by_the_next(network, recorder):
    encoder = StagedEncoder(network)
    encoder.encode(pixels())
    first = encoder.encode(pixels(seed=1))
    before = first.clone()
    encoder.encode(pixels(seed=2))
    assert torch.equal(first, before)


def test_sizes_and_windows_have_recordings_of_their_own_and_few_are_kept(network, recorder):
    encoder = StagedEncoder(network)
    for given in ({}, {"window_sizes": (1,) * network.config.stages}):
        for height in (32, 64, 96):
            for _ in range(2):
                got = encoder.encode(pixels(height), **given)
            with torch.inference_mode():
                assert torch.equal(got, network.encode(pixels(height), **given))
    assert recorder.recorded == 6 * network.config.stages
    assert encoder.recorded == 3
    encoder.forget()
    assert encoder.recorded == 0


def test_recordings_hold_no_more_than_their_share_of_the_memory(network, monkeypatch):
    size = pixels().nbytes + 100 * network.config.stages
    Recorder(monkeypatch, memory=staged.SHARE * 2 * size)
    encoder = StagedEncoder(network)
    for height in (64, 48, 32):
        for _ in range(2):
            encoder.encode(pixels(height))
    assert encoder.recorded == 2


@pytest.mark.parametrize(
    "error", [RuntimeError("operation not permitted when stream is capturing"), torch.OutOfMemoryError()]
)
def test_where_recording_fails_encodings_go_on_and_it_is_not_tried_again(network, recorder, error, caplog):
    encoder = StagedEncoder(network)
    recorder.error = error
    with torch.inference_mode():
        expected = network.encode(pixels())
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            assert torch.equal(encoder.encode(pixels()), expected)
    assert len(caplog.records) == 1
    assert "go on unrecorded" in caplog.text
    recorder.error = None
    encoder.encode(pixels())
    assert recorder.recorded == 0
    encoder.encode(pixels(32))
    encoder.encode(pixels(32))
    assert recorder.recorded == network.config.stages


def test_other_weights_are_recorded_anew(network, recorder):
    encoder = StagedEncoder(network)
    for _ in range(2):
        before = encoder.encode(pixels())
    with torch.no_grad():
        network.image_encoder.stages[0].whole.mlp.expand.bias.add_(1)
    after = encoder.encode(pixels())
    assert recorder.recorded == 2 * network.config.stages
    assert not torch.equal(before, after)
    with torch.inference_mode():
        assert torch.equal(after, network.encode(pixels()))


def test_progress_is_told_after_every_stage_and_may_end_the_encoding(network, recorder):
    encoder = StagedEncoder(network)
    depth, stages = network.config.depth, network.config.stages
    expected = [(depth * (i + 1) // stages, depth) for i in range(stages)]
    told = []
    for _ in range(3):
        encoder.encode(pixels(), on_progress=lambda *done: told.append(done))
    assert told == 3 * expected

    def stop(done, blocks):
        raise Cancelled

    replayed = recorder.replayed
    with pytest.raises(Cancelled):
        encoder.encode(pixels(), on_progress=stop)
    assert recorder.replayed == replayed + 1
    with torch.inference_mode():
        assert torch.equal(encoder.encode(pixels(seed=5)), network.encode(pixels(seed=5)))


def test_another_thread_meanwhile_goes_without(network, recorder):
    encoder = StagedEncoder(network)
    for _ in range(2):
        encoder.encode(pixels())
    replayed, inner = recorder.replayed, []

    def meanwhile(done, blocks):
        if not inner:  # as a second thread would, while the first one holds the recordings
            inner.append(encoder.encode(pixels(seed=1)))

    outer = encoder.encode(pixels(), on_progress=meanwhile)
    assert recorder.replayed == replayed + network.config.stages
    with torch.inference_mode():
        assert torch.equal(outer, network.encode(pixels()))
        assert torch.equal(inner[0], network.encode(pixels(seed=1)))


def test_a_predictor_encodes_by_recordings_and_whoever_looks_at_blocks_does_not(recorder):
    model = random_model(Preparation(side=64))
    predictor = Predictor(model)
    expected = predictor.embed(picture(64, 64)).tokens_bchw
    assert torch.equal(predictor.embed(picture(64, 64)).tokens_bchw, expected)
    assert recorder.recorded == model.config.stages
    seen, replayed = [], recorder.replayed
    tokens = encode_frugally(model.network, pixels(), on_block=lambda index, _: seen.append(index))
    assert seen == list(range(model.config.depth))
    assert recorder.replayed == replayed
    assert tokens.isfinite().all()


def test_where_memory_runs_out_recordings_are_let_go_of(network, recorder, monkeypatch):
    for _ in range(2):
        encode_frugally(network, pixels())
    encoder = staged_encoder(network)
    assert encoder.recorded == 1

    def short(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(StagedEncoder, "encode", short)
    with pytest.warns(UserWarning, match="in smaller pieces"):
        encode_frugally(network, pixels())
    assert encoder.recorded == 0


def test_a_network_that_nobody_holds_is_let_go_of(recorder):
    network = random_model(Preparation(side=64)).network
    for _ in range(2):
        encode_frugally(network, pixels())
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None
