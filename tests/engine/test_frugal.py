"""Where memory runs out, an encoding goes on with less of it, and says so."""

from __future__ import annotations

import pytest
import torch

from napari_samv1.engine.frugal import encode_frugally, is_out_of_memory
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model.image_encoder import attention
from napari_samv1.model.layers import in_smaller_chunks
from napari_samv1.model.sam import Sam
from napari_samv1.records.preparation import Preparation
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
