"""Where memory runs out, an encoding goes on with less of it, and says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_samv1.checkpoints.load import load_model
from napari_samv1.engine import frugal
from napari_samv1.engine.frugal import encode_frugally
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model.image_encoder import attention
from napari_samv1.model.layers import in_smaller_chunks
from napari_samv1.model.memory import is_out_of_memory, too_little
from napari_samv1.model.sam import Sam
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts
from small_model import picture, random_model

PIXELS = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class Scarce:
    """Encodings fail as often as told, each in its own way, before one succeeds."""

    def __init__(self, monkeypatch, *errors):
        self.errors = list(errors)
        self.devices = []
        encode = Sam.encode

        def failing(network, pixels, **given):
            self.devices.append(pixels.device.type)
            if self.errors:
                raise self.errors.pop(0)
            return encode(network, pixels, **given)

        monkeypatch.setattr(Sam, "encode", failing)


def short() -> RuntimeError:
    return RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried")


def test_smaller_pieces_come_first_and_give_the_same(monkeypatch):
    predictor = Predictor(random_model(Preparation(side=64)))
    expected = predictor.embed(picture(64, 64))
    Scarce(monkeypatch, short())
    with pytest.warns(UserWarning, match="Memory ran short on cpu: the image was encoded in smaller pieces"):
        found = predictor.embed(picture(64, 64))
    torch.testing.assert_close(found.tokens_bchw, expected.tokens_bchw)
    assert found.key == expected.key


def test_smaller_pieces_are_smaller(monkeypatch):
    network = random_model(Preparation(side=64)).network
    largest = []
    attend = attention._attend_by_products

    def watched(queries, keys, values, by_row, by_column):
        largest.append(queries.shape[0] * queries.shape[1] * keys.shape[1])
        return attend(queries, keys, values, by_row, by_column)

    monkeypatch.setattr(attention, "_attend_by_products", watched)
    pixels = torch.randn(1, 3, 256, 256)
    with torch.inference_mode():
        plain = network.encode(pixels)
        most = max(largest)
        largest.clear()
        with in_smaller_chunks():
            frugal = network.encode(pixels)
    assert max(largest) <= most / 4
    torch.testing.assert_close(frugal, plain, atol=1e-4, rtol=1e-4)


def test_the_cpu_comes_last_and_its_name_stands_in_the_key(monkeypatch):
    # a device of its own that cannot compute: what is on it has to be copied to the CPU
    monkeypatch.setattr(frugal, "can_record", lambda device: False)
    network = random_model(Preparation(side=64)).network
    scarce = Scarce(
        monkeypatch, torch.OutOfMemoryError("CUDA out of memory."), torch.OutOfMemoryError("again")
    )

    class Elsewhere:
        device = torch.device("cuda")

        def cpu(self):
            return PIXELS

    with pytest.warns(UserWarning, match="did not suffice on cuda: the image was encoded on the CPU"):
        tokens = encode_frugally(network, Elsewhere())
    assert scarce.devices == ["cuda", "cuda", "cpu"]
    assert tokens.device.type == "cpu"


def test_if_nothing_helps_it_is_a_sentence(monkeypatch):
    Scarce(monkeypatch, short(), short())
    with pytest.raises(MemoryError, match="close other programs"):
        encode_frugally(random_model(Preparation(side=64)).network, PIXELS)


def test_other_errors_stay_what_they_are(monkeypatch):
    Scarce(monkeypatch, RuntimeError("sizes do not match"))
    with pytest.raises(RuntimeError, match="sizes do not match"):
        encode_frugally(random_model(Preparation(side=64)).network, PIXELS)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("out of memory"))


class Crowded:
    """Decoding fails for more than ``most`` objects at once."""

    def __init__(self, monkeypatch, most):
        self.sizes = []
        attend = Sam.attend

        def failing(network, images, prompt_tokens, *given, **named):
            self.sizes.append(len(prompt_tokens))
            if len(prompt_tokens) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
            return attend(network, images, prompt_tokens, *given, **named)

        monkeypatch.setattr(Sam, "attend", failing)


def clicks(count, labels=(1,)):
    return [Prompts([(3 + i, 5 + 2 * i)] * len(labels), labels) for i in range(count)]


def test_masks_are_made_in_smaller_batches_and_are_the_same(monkeypatch):
    predictor = Predictor(random_model(Preparation(side=64)))
    embedding = predictor.embed(picture(64, 64))
    for prompts in (clicks(5), clicks(5, (1, 0))):
        expected = predictor.answer_each(embedding, prompts)
        with monkeypatch.context() as patch:
            crowded = Crowded(patch, 2)
            with pytest.warns(
                UserWarning, match="Memory ran short on cpu: masks were made in smaller batches"
            ):
                found = predictor.answer_each(embedding, prompts)
        assert crowded.sizes[0] == 5
        # both decodings of an object in a batch of the same size, so that it can be made again
        assert [one.batch for one in found] == [(0, 2), (1, 2), (0, 1), (0, 2), (1, 2)]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.logits, other.logits, atol=1e-4, rtol=1e-4)


def test_a_stream_of_masks_goes_on_in_smaller_batches(monkeypatch):
    predictor = Predictor(random_model(Preparation(side=64)))
    embedding = predictor.embed(picture(64, 64))

    def all_of(prompts, iou):
        return np.ones((len(prompts), 4), dtype=bool)

    expected = [one for _, some in predictor.stream(embedding, clicks(7), all_of) for one in some]
    Crowded(monkeypatch, 2)
    with pytest.warns(UserWarning, match="smaller batches"):
        found = [one for _, some in predictor.stream(embedding, clicks(7), all_of) for one in some]
    assert [(one.index, one.mask) for one in found] == [(one.index, one.mask) for one in expected]


def test_where_memory_does_not_suffice_for_one_mask_the_panel_says_what_to_do(monkeypatch, caplog):
    predictor = Predictor(random_model(Preparation(side=64)))
    embedding = predictor.embed(picture(64, 64))
    Crowded(monkeypatch, 0)
    with pytest.warns(UserWarning, match="smaller batches"), pytest.raises(MemoryError) as raised:
        predictor.answer_each(embedding, clicks(2))
    assert str(raised.value) == (
        "memory does not suffice on cpu to make a mask: close other programs, or choose a smaller model"
    )
    assert "or the device cpu, which is slower" in str(too_little("make a mask", torch.device("cuda")))


LOST = "CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA"


def by_view(predictor):
    return predictor.on_image(picture(64, 64)).encode((0, 0, 64, 64))


@pytest.mark.parametrize("encoded", [lambda one: one.embed(picture(64, 64)), by_view], ids=["embed", "view"])
def test_where_a_card_fails_for_good_a_script_goes_on_on_the_cpu_and_is_told(monkeypatch, encoded):
    expected = Predictor(load_model("tiny")).embed(picture(64, 64))
    predictor = Predictor(load_model("tiny"))
    lost = predictor.model.network

    def failing(_pixels, **_given):
        raise RuntimeError(LOST)

    monkeypatch.setattr(lost, "encode", failing)
    with pytest.warns(UserWarning, match=r"failed \(CUDA error: unspecified launch failure\): tiny goes on"):
        found = encoded(predictor)
    assert torch.equal(found.tokens_bchw, expected.tokens_bchw)
    assert predictor.model.network is not lost
    assert predictor.model.name == "tiny"
    # the decoder and the dense head are those of the CPU as well
    assert predictor.decoder_images.network is predictor.model.network
    assert predictor.proposer.head is predictor.model.dense.head
    assert predictor.predict(found, Prompts(points_yx=[(30, 30)], labels=[1])).logits.shape[0] == 4


def test_other_errors_of_an_encoding_stay_errors(monkeypatch):
    predictor = Predictor(load_model("tiny"))
    Scarce(monkeypatch, RuntimeError("the size of tensor a must match"))
    with pytest.raises(RuntimeError, match="must match"):
        predictor.embed(picture(64, 64))
