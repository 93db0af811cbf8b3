"""The file of a dense head beside a weight file."""

import hashlib
import pickle
import tracemalloc
import warnings
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from napari_samv1.checkpoints.dense import head_path, load_head, load_head_beside, save_head
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.engine.automatic.dense_seeds import HeadProposer
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model.dense_head import DenseHead, DenseHeadConfig
from napari_samv1.records.calibration import Calibration

CPU = torch.device("cpu")
SIZES = DenseHeadConfig(channels=8, width=6, depth=2, fine_width=4, fine_depth=3)
SCORES = Calibration(iou=0.5, click=(0.25, 0.5, 0.0, 0.0, 0.0, 0.0, -1.0, 0.125))


@pytest.fixture(params=[0, 5])
def head(request):
    torch.manual_seed(0)
    return DenseHead(replace(SIZES, stem_width=request.param))


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "mine.pt"
    path.write_bytes(b"weights")
    return path


def test_a_head_comes_back_as_it_was_saved_in_half_precision(head, weights):
    digest = save_head(head_path(weights), head, SCORES, "a" * 64)
    assert head_path(weights).name == "mine-dense.pt"
    loaded = load_head_beside(weights, "a" * 64, CPU, digest=f"sha256:{digest}")
    assert loaded.calibration == SCORES
    assert loaded.head.config == head.config
    assert loaded.sha256 == digest == hashlib.sha256(head_path(weights).read_bytes()).hexdigest()
    for name, tensor in loaded.head.state_dict().items():
        assert torch.equal(tensor, head.state_dict()[name].half().float())
        assert not tensor.requires_grad


def test_without_a_file_there_is_no_head(weights):
    assert load_head_beside(weights, "a" * 64, CPU) is None


def test_a_head_of_other_weights_is_left_out_with_a_warning(head, weights):
    save_head(head_path(weights), head, SCORES, "a" * 64)
    with pytest.warns(UserWarning, match="other weights"):
        assert load_head_beside(weights, "b" * 64, CPU) is None


def test_another_file_than_the_published_one_is_refused(head, weights):
    save_head(head_path(weights), head, SCORES, "a" * 64)
    with pytest.raises(CheckpointError, match="not the published head"):
        load_head_beside(weights, "a" * 64, CPU, digest="sha256:" + "0" * 64)


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_a_file_that_would_execute_code_is_refused_and_not_executed(weights):
    head_path(weights).write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(CheckpointError, match="damaged"):
        load_head(head_path(weights))
    torch.save({"format": Harmful()}, head_path(weights))
    with pytest.raises(CheckpointError, match="damaged"):
        load_head(head_path(weights))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("calibration"),
        lambda content: content.update(format="another"),
        lambda content: content["calibration"].pop("click"),
        lambda content: content["calibration"].update(click=(1.0,)),
        lambda content: content["head"].pop("narrow.weight"),
        lambda content: content["head"].update({"maps.weight": torch.zeros(3, 4, 3, 3)}),
        lambda content: content["head"].update(extra=torch.zeros(3)),
        lambda content: content.update(head=3),
    ],
)
def test_a_file_that_lacks_something_is_refused_in_words(head, weights, change):
    path = head_path(weights)
    save_head(path, head, SCORES, "a" * 64)
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"mine-dense\.pt"):
        load_head(path)


def test_a_cut_off_file_is_refused(head, weights):
    path = head_path(weights)
    save_head(path, head, SCORES, "a" * 64)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(CheckpointError, match="damaged"):
        load_head(path)


def test_the_bundled_model_has_a_head_for_its_own_weights():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model("tiny")
    assert model.dense is not None
    assert model.dense.weights_sha256 == model.sha256
    assert f"sha256:{model.dense.sha256}" == MODELS["tiny"].dense_digest
    assert head_path(MODELS["tiny"].path).stat().st_size < 500_000
    assert isinstance(Predictor(model).proposer, HeadProposer)
    assert Predictor(replace(model, dense=None)).proposer is None


def test_weights_without_a_head_load_as_before(tmp_path):
    path = tmp_path / "alone.pt"
    path.write_bytes(MODELS["tiny"].path.read_bytes())
    alone = load_model(path)
    assert alone.dense is None
    assert alone.sha256 == load_model("tiny").sha256


def test_no_flipped_bit_gives_another_head(head, weights):
    path = head_path(weights)
    save_head(path, head, SCORES, "a" * 64)
    whole, saved = path.read_bytes(), load_head(path)
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(0, len(whole), 300):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            read = load_head(path)
        except CheckpointError:
            refused += 1
            continue
        assert read.calibration == SCORES
        for name, tensor in read.head.state_dict().items():
            assert torch.equal(tensor, saved.head.state_dict()[name])
    assert refused > 100


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(head, weights, number):
    path = head_path(weights)
    with torch.no_grad():
        head.maps.bias[0] = number
    save_head(path, head, SCORES, "a" * 64)
    with pytest.raises(CheckpointError, match=r"maps\.bias holds numbers that are not finite"):
        load_head(path)
    save_head(path, DenseHead(SIZES), replace(SCORES, iou=number), "a" * 64)
    with pytest.raises(CheckpointError, match="iou is not finite"):
        load_head(path)


def test_a_small_file_that_would_take_much_is_refused_at_once(head, weights):
    path = head_path(weights)
    content = {"format": "napari-samv1 dense head 1", "weights": "a" * 64, "calibration": asdict(SCORES)}
    wide = {"narrow.weight": torch.zeros(1 << 20, 1, 1, 1), "widen.weight": torch.zeros(1 << 20, 1, 1, 1)}
    for tensors in (
        {**head.state_dict(), **wide},  # layers of a million channels, of which two are there
        {name: tensor.expand(1 << 20, *tensor.shape) for name, tensor in head.state_dict().items()},
    ):
        torch.save({**content, "head": tensors}, path)
        tracemalloc.start()
        with pytest.raises(CheckpointError):
            load_head(path)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 50_000_000
    path.write_bytes(pickle.dumps({"format": Allocating()}))
    with pytest.raises(CheckpointError, match="damaged"):
        load_head(path)


class Allocating:
    def __reduce__(self):
        return bytearray, (1 << 40,)
