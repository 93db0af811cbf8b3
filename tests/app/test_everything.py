"""Findings: filtered as a run with those settings, without decoding again; made objects in one step."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from napari_samv1.annotation.document import Document
from napari_samv1.annotation.edits import adopted
from napari_samv1.app.everything import (
    Existing,
    Findings,
    Place,
    Review,
    accept,
    existing_on,
    look,
    means_of,
)
from napari_samv1.engine.automatic.everything import in_regions
from napari_samv1.engine.progress import Cancelled
from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.place import Plane
from slide import SEEDED, SIDE, Centres, Decoder, KnownView, Slide


class Unsure(Decoder):
    """Is surer of some objects than of others."""

    def iou_of(self, number):
        return 0.5 + (number * 37 % 50) / 100


def view_of(labels):
    view = KnownView(labels, Unsure(labels))
    view.predictor.proposer = Centres(labels)
    return view


def looked(labels, settings=SEEDED, place=None, plane=None):
    view = view_of(labels)
    means = means_of(view.predictor, settings)
    findings = Findings(means)
    place = Place(Plane() if plane is None else plane) if place is None else place
    assert look(view, place, means, findings.extend, lambda done, total: None)
    return findings


@pytest.fixture(scope="module")
def slide():
    return Slide(hw=(300, 280), large=False)


@pytest.fixture(scope="module")
def findings(slide):
    return looked(slide.labels)


@pytest.fixture(scope="module")
def found_with(slide):
    """Findings of a run for more than is shown, each run once."""
    return functools.cache(lambda settings: looked(slide.labels, settings))


def of_one(findings):
    [own] = findings.planes.values()
    return own


def boxes(findings, kept):
    return [of_one(findings).items[i].found.box for i in kept]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"pred_iou_thresh": 0.5},
        {"pred_iou_thresh": 0.7, "min_area": 150},
        {"pred_iou_thresh": 0.7, "max_area": 250, "keep_border": False},
        {"pred_iou_thresh": 0.0, "box_nms_thresh": 0.99},
        {"pred_iou_thresh": 0.6, "stability_score_thresh": 0.8, "min_roundness": 0.9},
    ],
)
@pytest.mark.parametrize("mode", ["seeds", "grid"])
def test_moved_filters_keep_what_a_run_with_them_finds_and_decode_nothing(slide, found_with, mode, asked):
    settings = replace(SEEDED, mode=mode, points_per_side=16)
    # a grid's masks are kept from a little below what the run was asked for
    findings = found_with(replace(settings, pred_iou_thresh=0.6, box_nms_thresh=0.9))
    wanted = replace(settings, **asked)
    view = view_of(slide.labels)
    run = in_regions(view, wanted, view.predictor.proposer if mode == "seeds" else None, None)
    before = Decoder.decodes
    kept = of_one(findings).kept(wanted)
    assert Decoder.decodes == before
    assert kept
    if mode == "grid" and not asked.get("pred_iou_thresh", 1):
        assert findings.hides_some(wanted)
        return
    found = {one.box for one in run.objects}
    if mode == "grid" and asked.get("stability_score_thresh"):
        # what is unstable where its region cuts it off is asked again elsewhere, of which a run does not know
        assert found <= set(boxes(findings, kept))
        return
    assert sorted(boxes(findings, kept)) == sorted(found)


def test_what_comes_in_parts_is_what_comes_at_once(slide, findings):
    view = view_of(slide.labels)
    batches = []
    look(view, Place(Plane()), means_of(view.predictor, SEEDED), batches.append, lambda done, total: None)
    assert len(batches) > 3
    assert sum(len(one.items) for one in batches) == findings.count


def test_a_cancelled_run_delivers_what_it_found(slide):
    view = view_of(slide.labels)
    means = means_of(view.predictor, SEEDED)
    findings = Findings(means)

    def stop(_done, _total):
        if findings.count > 10:
            raise Cancelled

    assert not look(view, Place(Plane()), means, findings.extend, stop)
    assert 10 < findings.count < looked(slide.labels).count
    assert of_one(findings).kept(SEEDED)


def test_an_area_and_all_but_it_share_the_objects(slide, findings):
    area = np.zeros(slide.labels.shape, bool)
    area[60:200, 40:190] = True
    crop = MaskCrop.from_mask(area)
    window = (60, 40, 140, 150)
    inside = looked(slide.labels, place=Place(Plane(), window, crop))
    outside = looked(slide.labels, place=Place(Plane(), None, crop, left_out=True))
    asked = replace(SEEDED, pred_iou_thresh=0.0)
    every, within, without = (
        dict.fromkeys(boxes(own, of_one(own).kept(asked))) for own in (findings, inside, outside)
    )
    assert set(within) & set(without) == set()
    # a seed outside of the window may lie in an object that is mostly inside
    assert set(every) - set(within) - set(without) <= {
        box for box in every if not (box[0] > 60 and box[2] < 199 and box[1] > 40 and box[3] < 189)
    }
    for box in within:
        y0, x0, y1, x1 = box
        assert area[(y0 + y1) // 2, (x0 + x1) // 2]


def test_only_what_is_new_beside_existing_objects_is_kept(slide, findings):
    asked = replace(SEEDED, pred_iou_thresh=0.0)
    every = of_one(findings).kept(asked)
    known = np.where(slide.labels % 2 == 1, slide.labels, 0)
    new = of_one(findings).kept(asked, Existing(known.shape, labels=known))
    items = of_one(findings).items
    numbers = [slide.labels[tuple(np.round(items[i].found.point_yx).astype(int))] for i in new]
    assert 0 < len(new) < len(every)
    assert all(number % 2 == 0 for number in numbers)
    assert len(new) == np.count_nonzero([np.any(slide.labels == n) for n in range(2, slide.count + 1, 2)])


@pytest.mark.parametrize("far", [1, 1 << 40, -5])
def test_existing_labels_may_be_any_numbers(far):
    labels = np.zeros((10, 10), np.int64)
    labels[2:6, 2:6] = far
    existing = existing_on(None, Plane(), (10, 10), labels)
    assert existing.share(MaskCrop((2, 2), np.ones((4, 4), bool))) == 1
    # half of the mask, and a quarter of the label
    assert existing.share(MaskCrop((5, 2), np.ones((2, 4), bool))) == pytest.approx(0.5)
    assert existing.share(MaskCrop((7, 7), np.ones((2, 2), bool))) == 0


class CountedReads:
    """Labels that note the pixels of each read."""

    def __init__(self, labels):
        self.labels, self.shape, self.dtype, self.reads = labels, labels.shape, labels.dtype, []

    def __getitem__(self, region):
        self.reads.append(self.labels[region].size)
        return self.labels[region]


def test_existing_labels_are_read_around_a_mask_alone():
    labels = CountedReads(np.zeros((1000, 1000), np.uint8))
    labels.labels[100:104, 100:104] = 3
    existing = Existing((1000, 1000), labels=labels)
    assert existing.share(MaskCrop((500, 500), np.ones((10, 10), bool))) == 0
    # all of the label, a sixth of the mask
    assert existing.share(MaskCrop((98, 98), np.ones((10, 10), bool))) == 1
    assert labels.reads == [900, 900]


def test_an_existing_label_beyond_all_that_is_read_is_the_larger_one():
    labels = np.zeros((200, 200), np.uint8)
    labels[100, 20:] = 5  # 180 pixels, 30 of them read
    labels[:3, :3] = 6  # at the plane's corner, where nothing goes on
    existing = Existing((200, 200), labels=labels)
    assert existing.share(MaskCrop((95, 100), np.ones((10, 10), bool))) == pytest.approx(0.1)
    assert existing.share(MaskCrop((0, 0), np.ones((10, 10), bool))) == 1


def test_existing_objects_lie_over_other_labels():
    labels = np.full((60, 60), 9, np.uint16)
    document = Document()
    pixels = MaskCrop((20, 20), np.ones((10, 10), bool))
    document.adopt(adopted(document, Plane(), 4, pixels), EMPTY)
    existing = existing_on(document, Plane(), (60, 60), labels)
    assert existing.share(pixels) == 1
    # half of its pixels lie on the object, half on the label around it: all of them on either
    assert existing.share(MaskCrop((25, 20), np.ones((10, 10), bool))) == 1
    alone = existing_on(document, Plane(), (60, 60), None)
    assert alone.share(MaskCrop((25, 20), np.ones((10, 10), bool))) == pytest.approx(0.5)
    assert alone.share(MaskCrop((28, 20), np.ones((10, 10), bool))) == pytest.approx(0.2)


def test_masks_keep_their_numbers_when_filters_move(findings):
    own = of_one(findings)
    all_of_them = own.shown(own.kept(replace(SEEDED, pred_iou_thresh=0.0)))
    fewer = own.shown(own.kept(replace(SEEDED, pred_iou_thresh=0.7)))
    assert 0 < len(fewer) < len(all_of_them)
    assert all(all_of_them[number] is packed for number, packed in fewer.items())
    areas = [packed.crop().area for packed in all_of_them.values()]
    assert areas == sorted(areas, reverse=True)


def accepted(document, findings, asked, first=1):
    chosen = [(one, one.kept(asked)) for one in findings.planes.values()]
    document.apply(accept(document, chosen, first, None))
    return document


def test_accepted_objects_have_their_prompts_and_are_one_step(slide, findings):
    document = accepted(Document(), findings, SEEDED)
    pieces = list(document.on(Plane()).objects.values())
    kept = of_one(findings).kept(SEEDED)
    assert [piece.id for piece in pieces] == list(range(1, len(kept) + 1))
    for piece, index in zip(pieces, kept, strict=True):
        found = of_one(findings).items[index].found
        assert piece.origin == "automatic"
        assert not piece.pending
        assert piece.mask == found.crop
        [shape] = piece.drawn
        assert shape.kind == "point"
        assert tuple(shape.vertices_yx[0]) == found.point_yx
        assert piece.scores.iou[piece.chosen] == found.iou
        # corrections are answered by regions as large as the one that it was found in
        window = found.region.window_yxhw
        assert piece.settings.detail == piece.answer.request.detail == SIDE / max(window[2:])
        assert piece.answer.request.embedding_key.frame.window_yxhw == window
    document.undo()
    assert not document.objects
    assert not document.on(Plane()).objects
    document.redo()
    assert len(document.objects) == len(kept)
    assert not document.on(Plane()).pending


def test_objects_of_other_slices_have_numbers_of_their_own(slide):
    first, second = Plane((0, None, None)), Plane((1, None, None))
    findings = looked(slide.labels, plane=first)
    for batch in looked(slide.labels[::-1].copy(), plane=second).planes.values():
        findings.planes[second] = batch
    document = accepted(Document(), findings, SEEDED, first=10)
    on_first, on_second = (set(document.on(plane).objects) for plane in (first, second))
    assert min(on_first) == 10
    assert on_first.isdisjoint(on_second)
    assert len(document.objects) == len(on_first) + len(on_second)


def test_a_review_goes_from_the_least_sure_to_the_surest_once(slide, findings):
    asked = replace(SEEDED, pred_iou_thresh=0.0)
    document = accepted(Document(), findings, asked)
    review = Review(document)
    seen = []
    while (piece := review.following()) is not None:
        seen.append(piece.scores.iou[piece.chosen])
        review.seen(piece)
    assert len(seen) == len(document.objects)
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]
    assert review.left == 0
