"""``compile=True``: the encoder's blocks compiled by torch, with a cache on disk."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_samv1 import load_model
from napari_samv1.checkpoints.folders import cache_folder
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine import compiled
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model import Sam, SamConfig
from napari_samv1.model.image_encoder.stage import run_block
from napari_samv1.records.preparation import Preparation
from small_model import picture, random_model


@pytest.fixture
def compiler(monkeypatch):
    """Stands for torch.compile: what it was asked for, and how often what it made was called."""
    asked = []

    def compile_(function, **how):
        def called(*given):
            asked[-1]["calls"] += 1
            return function(*given)

        asked.append({"function": function, "calls": 0, **how})
        return called

    monkeypatch.setattr(torch, "compile", compile_)
    return asked


def test_a_model_loaded_to_be_compiled_runs_every_block_compiled(compiler):
    model = random_model(Preparation(side=64))
    expected = Predictor(model).embed(picture(64, 64)).tokens_bchw
    assert not compiler
    predictor = Predictor(replace(model, compiled=True))
    for times in (1, 2):
        told = []
        found = predictor.embed(picture(64, 64), on_progress=lambda *done, told=told: told.append(done))
        assert torch.equal(found.tokens_bchw, expected)
        assert told[-1] == (model.config.depth, model.config.depth)
        assert compiler == [{"function": run_block, "calls": times * model.config.depth, "dynamic": False}]
    assert load_model("tiny", device="cpu", compile=True).compiled
    assert not load_model("tiny", device="cpu").compiled


def test_compiled_code_is_kept_beside_weights_unless_another_folder_is_named(compiler, monkeypatch):
    monkeypatch.delenv(compiled.VARIABLE, raising=False)
    compiled.compiled_block()
    import os

    assert os.environ[compiled.VARIABLE] == str(cache_folder() / "compiled")
    monkeypatch.setenv(compiled.VARIABLE, "/elsewhere")
    compiled.compiled_block()
    assert os.environ[compiled.VARIABLE] == "/elsewhere"


def test_where_torch_cannot_compile_a_warning_says_so_and_it_goes_on(monkeypatch):
    from torch._dynamo.exc import TorchDynamoException

    calls = []

    def compile_(function, **_):
        def called(*_):
            calls.append(1)
            raise TorchDynamoException("No working C++ compiler found\nand much more")

        return called

    monkeypatch.setattr(torch, "compile", compile_)
    model = random_model(Preparation(side=64))
    expected = Predictor(model).embed(picture(64, 64)).tokens_bchw
    predictor = Predictor(replace(model, compiled=True))
    with pytest.warns(UserWarning, match="cannot compile the encoder here.*: No working C.. compiler found"):
        found = predictor.embed(picture(64, 64))
    assert torch.equal(found.tokens_bchw, expected)
    assert torch.equal(predictor.embed(picture(64, 64)).tokens_bchw, expected)
    assert len(calls) == 1


@pytest.mark.slow
def test_compiled_code_gives_the_same_tokens(monkeypatch):
    """By torch's tracing and differentiation, whose operations run as they are: no compiler is needed."""
    compile_ = torch.compile
    traced = []

    def backend(graph, _):
        traced.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda function, **how: compile_(function, backend=backend, **how))
    config = SamConfig(width=16, depth=6, heads=2, stages=2, patch=4, grid=16, window=5, channels=32)
    torch.manual_seed(0)
    network = Sam(config).eval().requires_grad_(False)
    model = LoadedModel(network, config, Preparation(side=64), "small", "0" * 64)
    expected = Predictor(model).embed(picture(64, 64)).tokens_bchw
    predictor = Predictor(replace(model, compiled=True))
    torch.testing.assert_close(predictor.embed(picture(64, 64)).tokens_bchw, expected, atol=1e-5, rtol=1e-5)
    # a windowed and a global block, and not every one of them
    assert len(traced) == 2
    predictor.embed(picture(64, 64))
    assert len(traced) == 2
