"""Images of any size: answers from regions, read once, and equal to the whole image's where there is one."""

from __future__ import annotations

from dataclasses import replace
from threading import Thread

import numpy as np
import pytest
import torch

from lazy import CountingArray, pyramid
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.predictor import Predictor
from napari_samv1.engine.progress import Cancelled
from napari_samv1.engine.store import LayeredStore, MemoryStore
from napari_samv1.images.source import ReadError
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.preparation import BUNDLED, MEDSAM, PUBLISHED
from napari_samv1.records.prompts import Prompts
from small_model import picture, random_model

SMALL = replace(BUNDLED, side=64)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(random_model(SMALL))


def click(y: float, x: float) -> Prompts:
    return Prompts([(y, x)], [1])


def grey(height: int, width: int) -> np.ndarray:
    return picture(height, width)[..., 0].astype(np.uint16) * 50 + 300


def equal(one: Prediction, other: Prediction) -> bool:
    return np.array_equal(one.logits, other.logits) and np.array_equal(one.iou, other.iou)


@pytest.mark.parametrize("preparation", [SMALL, replace(PUBLISHED, side=64), replace(MEDSAM, side=64)])
@pytest.mark.parametrize("image", [picture(64, 50), grey(40, 64), grey(50, 30).astype(np.float32)])
def test_an_image_that_is_not_larger_than_a_region_is_answered_as_before(image, preparation):
    predictor = Predictor(random_model(preparation))
    embedding = predictor.embed(image)
    view = predictor.on_image(image)
    for prompts in (click(20, 25), Prompts([(20, 25), (5, 5)], [1, 0])):
        answer = view.answer(prompts)
        assert equal(answer, predictor.answer(embedding, prompts))
        assert (answer.asked, answer.used, answer.note) == ("auto", "whole", "")
    assert view.encode((0, 0, *image.shape[:2])).key == embedding.key


@pytest.mark.parametrize("image", [picture(200, 150), grey(150, 200), grey(150, 200).astype(">u2")])
def test_a_whole_image_is_answered_as_before_whatever_its_size(predictor, image):
    expected = predictor.answer(predictor.embed(image), click(70, 80))
    answer = predictor.on_image(image).answer(click(70, 80), detail="whole")
    assert equal(answer, expected)
    assert np.array_equal(answer.mask(1), expected.mask(1))


def test_limits_are_those_of_the_plane_for_every_region_and_stand_in_the_request(predictor):
    image = grey(300, 300)
    image[:, 150:] += 20_000
    view = predictor.on_image(image)
    requests = [view.request(window) for window in view.grid()]
    assert len({(one.display, one.limits) for one in requests}) == 1
    (channel,) = requests[0].display.channels
    assert (channel.low, channel.high) == pytest.approx(np.percentile(image, [0.1, 99.9]))
    fixed = predictor.on_image(image, intensity=(0, 1000), gamma=0.5)
    (channel,) = fixed.request((0, 0, 64, 64)).display.channels
    assert (channel.low, channel.high, channel.gamma) == (0, 1000, 0.5)


def test_a_region_at_native_detail_is_the_cut_out_piece(predictor):
    image = picture(300, 400)
    view = predictor.on_image(image, intensity="dtype")
    frame = view.encode((96, 160, 64, 64)).frame
    assert (frame.image_hw, frame.window_yxhw, frame.scale_yx) == ((300, 400), (96, 160, 64, 64), (1.0, 1.0))
    seen = view.pixels.prepared((96, 160, 64, 64))
    low, high = seen.request.limits
    expected = ((image[96:160, 160:224].astype(np.float32) - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(seen.pixels_bchw[0].permute(1, 2, 0), expected, atol=1e-6)


def test_a_crop_lies_in_the_images_own_pixels(predictor):
    view = predictor.on_image(picture(300, 400))
    embedding = view.encode((96, 160, 64, 64))
    prediction = predictor.answer(embedding, click(120, 200))
    threshold = float(np.median(prediction.logits[0]))
    crop = prediction.crop(0, threshold)
    assert crop.origin_yx >= (96, 160)
    assert prediction.region_yxhw == (96, 160, 64, 64)
    np.testing.assert_array_equal(crop.to_mask((300, 400)), prediction.mask(0, threshold))


class Discs:
    """An ideal network: answers with the disc that a click lies in, as far as its region shows it."""

    def __init__(self, predictor: Predictor, radius: float, pitch: float) -> None:
        self.model = predictor.model
        self.radius, self.pitch = radius, pitch
        self.windows: list[tuple[int, int, int, int]] = []
        self.encoded = predictor.encoded

    def answer_each(self, embedding, prompts):
        frame = embedding.frame
        self.windows.append(frame.window_yxhw)
        rows, columns = (np.arange(size) for size in frame.logits_hw)
        image_yx = frame.from_logits_yx(
            np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
        )
        predictions = []
        for one in prompts:
            middle = np.round(one.points_yx[0] / self.pitch) * self.pitch
            away = np.linalg.norm(image_yx - middle, axis=1).reshape(frame.logits_hw)
            logits = np.stack([self.radius - away] * 4).astype(np.float32)
            predictions.append(Prediction(logits, np.ones(4, np.float32), frame, one.is_single))
        return predictions

    def disc(self, middle_yx) -> MaskCrop:
        top, left = (int(own - self.radius - 2) for own in middle_yx)
        y, x = np.mgrid[: int(2 * self.radius + 5), : int(2 * self.radius + 5)]
        inside = (y + top - middle_yx[0]) ** 2 + (x + left - middle_yx[1]) ** 2 < self.radius**2
        return MaskCrop.from_mask(inside, (top, left))


@pytest.fixture
def discs(predictor):
    def on(radius: float, pitch: float = 100):
        view = predictor.on_image(np.zeros((1000, 1000), np.uint8))
        view.predictor = Discs(predictor, radius, pitch)
        return view, view.predictor

    return on


def iou(one: MaskCrop, other: MaskCrop) -> float:
    a, b = one.to_mask((1000, 1000)), other.to_mask((1000, 1000))
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("offset", [0, 13, -13])
def test_objects_on_every_border_of_the_grid_are_whole(discs, offset):
    # a pitch of 100 against regions every 32 pixels: discs lie everywhere relative to the borders
    view, ideal = discs(radius=14)
    middles = [(100.0 * i, 100.0 * (i * 3 % 10 or 5)) for i in range(1, 10)]
    answers = view.answer_each([click(y + offset, x) for y, x in middles])
    for middle, answer in zip(middles, answers, strict=True):
        assert answer.used == 1.0
        assert iou(answer.crop(answer.best()), ideal.disc(middle)) > 0.97


def test_an_object_that_is_larger_than_a_region_is_decoded_coarser_and_it_says_so(discs):
    view, ideal = discs(radius=45)
    answer = view.answer(click(500, 500))
    assert (answer.asked, answer.used) == ("auto", 0.25)
    assert answer.note == (
        "Decoded at 1:4 instead of 1:1: the object does not fit into a region of that detail."
    )
    assert iou(answer.crop(answer.best()), ideal.disc((500, 500))) > 0.9
    # four edges met: two details were left out
    assert ideal.windows[-1][2:] == (256, 256)


def test_answers_do_not_depend_on_what_was_answered_before(predictor):
    image = picture(300, 300)
    prompts = [click(40, 45), click(50, 60), click(210, 130)]
    one, other = predictor.on_image(image), predictor.on_image(image)
    first = [one.answer(own) for own in prompts]
    second = [other.answer(own) for own in reversed(prompts)][::-1]
    assert all(equal(a, b) and a.frame == b.frame for a, b in zip(first, second, strict=True))


def test_objects_of_one_region_are_answered_together(predictor):
    view = predictor.on_image(picture(300, 300))
    prompts = [click(40, 45), click(45, 50), click(210, 130)]
    together = view.answer_each(prompts)
    for prompt, answer in zip(prompts, together, strict=True):
        alone = view.answer(prompt)
        assert alone.frame == answer.frame
        np.testing.assert_allclose(answer.logits, alone.logits, atol=1e-4)


def test_regions_are_encoded_once_and_told(predictor, monkeypatch):
    view = predictor.on_image(picture(300, 300))
    assert view.encoded == ()
    encodings = []
    from napari_samv1.engine import view as module

    encode = module.encode
    monkeypatch.setattr(module, "encode", lambda *a, **k: encodings.append(1) or encode(*a, **k))
    for _ in range(3):
        view.encode((0, 32, 64, 64))
        view.encode((32, 32, 64, 64))
    assert len(encodings) == 2
    assert view.encoded == (Region(Plane(), (0, 32, 64, 64)), Region(Plane(), (32, 32, 64, 64)))


def test_encoded_regions_are_told_while_another_is_encoded(predictor):
    view = predictor.on_image(picture(300, 300))
    view.encode((0, 32, 64, 64))
    told = []

    def ask(_done, _blocks):
        # a thread that waits for the encoding would hold up a window
        asking = Thread(target=lambda: told.append(view.encoded))
        asking.start()
        asking.join(timeout=5)

    view.encode((32, 32, 64, 64), ask)
    assert told == [(Region(Plane(), (0, 32, 64, 64)),)] * 4


def test_only_the_regions_that_are_needed_are_read(predictor):
    levels = pyramid((100_000, 100_000), lambda y, x: (y // 5 * 3 + x // 7 * 11) % 200, 8)
    view = predictor.on_image(levels)
    assert sum(level.reads for level in levels) == 0
    for place in ((5, 5), (99_000, 40), (50_000, 50_000), (100, 80_000), (99_999, 99_999)):
        view.encode(view.grid(1.0).nearest(place))
    # one look at all of it, sixteen blocks, and five regions
    overview = 782 * 782
    assert sum(level.pixels for level in levels) <= 2 * overview + 16 * 128 * 128 + 5 * 64 * 64
    view.encode((0, 0, 100_000, 100_000))
    assert levels[0].pixels <= 16 * 128 * 128 + 5 * 64 * 64


def test_a_whole_image_is_read_once(predictor):
    array = CountingArray((900, 800), lambda y, x: (y + x) % 256)
    view = predictor.on_image(array)
    for _ in range(2):
        view.answer(click(40, 50), "whole")
    # once for the sample that tells it from others, once for its pixels
    assert array.pixels == 2 * 900 * 800


def test_a_mask_of_a_huge_image_is_refused_and_its_crop_is_small(predictor):
    view = predictor.on_image(CountingArray((60_000, 60_000), lambda y, x: (y + x) % 256))
    embedding = view.encode((500, 500, 64, 64))
    prediction = predictor.answer(embedding, click(520, 520))
    assert max(prediction.crop(0).mask.shape) <= 64
    with pytest.raises(ValueError, match=r"60000 x 60000 pixels; take crop\(0\)"):
        prediction.mask(0)


def test_a_plane_of_a_stack_is_named(predictor):
    stack = np.stack([grey(80, 90), grey(80, 90)[::-1]])
    with pytest.raises(ValueError, match="plane="):
        predictor.on_image(stack)
    expected = predictor.answer(predictor.embed(stack[1]), click(20, 30))
    for plane in (1, (1,), (1, None, None), Plane((1, None, None))):
        view = predictor.on_image(stack, plane=plane)
        assert equal(view.answer(click(20, 30), "whole"), expected)
        assert view.plane == Plane((1, None, None))
    across = predictor.on_image(stack, plane=(None, 7, None))
    assert across.plane_hw == (2, 90)


def test_a_file_is_an_image(predictor, tmp_path):
    image = grey(150, 160)
    np.save(tmp_path / "a.npy", image)
    one, other = predictor.on_image(image), predictor.on_image(tmp_path / "a.npy")
    assert equal(one.answer(click(70, 60)), other.answer(click(70, 60)))


def test_a_store_that_hangs_up_in_the_middle_is_a_sentence_and_the_view_goes_on(predictor):
    array = CountingArray((5000, 5000), lambda y, x: (y + x) % 256)
    view = predictor.on_image(array)
    view.encode((0, 0, 64, 64))
    array.fails_after = array.reads
    with pytest.raises(ReadError, match="the store hung up"):
        view.encode((64, 64, 64, 64))
    array.fails_after = None
    view.encode((64, 64, 64, 64))
    assert len(view.encoded) == 2


def test_progress_counts_blocks_and_may_cancel(predictor):
    view = predictor.on_image(picture(300, 300))
    seen = []
    view.encode((0, 0, 64, 64), lambda *done: seen.append(done))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]

    def cancel(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        view.answer(click(250, 250), on_progress=cancel)
    assert len(view.encoded) == 1
    view.answer(click(250, 250))


def test_rounding_to_16_bits_comes_before_decoding_and_is_part_of_the_request(predictor):
    image = picture(64, 64)
    exact, rounded = (predictor.on_image(image, rounding=bits) for bits in ("float32", "float16"))
    window = (0, 0, 64, 64)
    assert exact.request(window) != rounded.request(window)
    one, other = exact.encode(window), rounded.encode(window)
    assert other.tokens_bchw.dtype == torch.float16
    assert torch.equal(one.tokens_bchw.half(), other.tokens_bchw)
    assert other.nbytes * 2 == one.nbytes
    assert rounded.answer(click(20, 20)).logits == pytest.approx(exact.answer(click(20, 20)).logits, abs=0.05)


def test_a_shared_store_is_compared_with_the_pixels_that_are_at_hand(predictor):
    image = picture(2000, 2000)
    store = MemoryStore()
    window = (32, 32, 64, 64)
    before = predictor.on_image(image, cache=store).encode(window)
    assert predictor.on_image(image, cache=store).encode(window) is before
    # no sampled pixel, so that the request stays the same
    place = next((y, x) for y in range(40, 90) for x in range(40, 90))
    changed = image.copy()
    changed[place[0] : place[0] + 2, place[1] : place[1] + 2] ^= 128
    view = predictor.on_image(changed, cache=store)
    assert view.request(window) == before.request
    assert view.encode(window).key.pixels != before.key.pixels


def test_memory_is_bounded_by_bytes_and_the_newest_stays(predictor, monkeypatch):
    view = predictor.on_image(picture(300, 300))
    one = view.encode((0, 0, 64, 64))
    store = MemoryStore(most_bytes=int(2.5 * one.nbytes))
    others = [view.encode((0, 32 * i, 64, 64)) for i in range(4)]
    for own in others[:2]:
        store.put(own)
    store.get(others[0].request)
    store.put(others[2])
    assert store.get(others[1].request) is None
    assert store.get(others[0].request) is others[0]
    assert store.nbytes == 2 * one.nbytes
    monkeypatch.setattr("napari_samv1.engine.store.free_memory", lambda: 0)
    tight = MemoryStore()
    monkeypatch.setattr("napari_samv1.engine.store.FREE_SHARE", 10**9)
    tight.put(others[3])
    assert tight.get(others[3].request) is others[3]


def test_how_many_megabytes_embeddings_may_take_is_a_setting(monkeypatch):
    monkeypatch.setenv("NAPARI_SAMV1_EMBEDDINGS_MB", "20")
    assert MemoryStore().most_bytes == 20_000_000
    for wrong in ("much", "inf", "-5"):
        monkeypatch.setenv("NAPARI_SAMV1_EMBEDDINGS_MB", wrong)
        with pytest.raises(ValueError, match=f"number of megabytes, got '{wrong}'"):
            MemoryStore()


def test_embeddings_that_cover_points_are_found_the_finest_first(predictor):
    view = predictor.on_image(picture(300, 300))
    coarse, fine = view.encode((0, 0, 128, 128)), view.encode((32, 32, 64, 64))
    assert view.store.covering(Plane(), [(40, 40), (70, 80)]) == [fine, coarse]
    assert view.store.covering(Plane(), [(40, 10)]) == [coarse]
    assert view.store.covering(Plane((1, None, None)), [(40, 40)]) == []


def test_a_layered_store_asks_the_slow_one_once(predictor):
    own = predictor.on_image(picture(300, 300)).encode((0, 0, 64, 64))
    fast, slow = MemoryStore(), MemoryStore()
    slow.put(own)
    store = LayeredStore(fast, slow)
    assert store.get(own.request) is own
    assert fast.get(own.request) is own
    assert store.covering(Plane(), [(3, 3)]) == [own]


def test_few_decoder_images_are_held_and_masks_are_the_same(predictor):
    view = predictor.on_image(picture(300, 300))
    embeddings = [view.encode((0, 32 * i, 64, 64)) for i in range(5)]
    first = [predictor.answer(own, click(30, 32 * i + 30)) for i, own in enumerate(embeddings)]
    again = [predictor.answer(own, click(30, 32 * i + 30)) for i, own in enumerate(embeddings)]
    assert all(equal(a, b) for a, b in zip(first, again, strict=True))
    images = predictor.decoder_images
    assert images.of(embeddings[4]) is images.of(embeddings[4])
    held = images.of(embeddings[0])
    assert len(images._made) <= 3
    for own in embeddings[1:]:
        images.of(own)
    assert images.of(embeddings[0]) is not held
