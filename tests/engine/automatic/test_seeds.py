"""Masks of proposed objects: the network's, or the proposed region where the network joins neighbours."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from automatic_maps import right_maps
from napari_samv1.annotation.document import Document
from napari_samv1.annotation.pieces import Piece
from napari_samv1.app.everything import Item, automatic_piece
from napari_samv1.checkpoints.load import load_model
from napari_samv1.engine.automatic import seeds
from napari_samv1.engine.automatic.dense_seeds import seeds_in
from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.seeds import Thresholds, decode_seeds
from napari_samv1.engine.candidate import Candidate
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.frame import Frame
from napari_samv1.records.place import Plane

HW = (160, 192)
FRAME = Frame(HW, (0, 0, *HW), HW, HW, 8)
MADE_BY = Computation("tiny", "tiny", Environment("1", "3", "2", "2", "x", "y", 1))


def rods():
    """Two capsules side by side, 60 by 14 pixels."""
    y, x = np.ogrid[: HW[0], : HW[1]]
    along = np.maximum(np.abs(x - 96) - 23, 0)
    return 1 * (np.hypot(y - 80, along) < 7) + 2 * (np.hypot(y - 96, along) < 7)


def discs():
    """Two discs that touch, of 24 pixels."""
    y, x = np.ogrid[: HW[0], : HW[1]]
    return 1 * (np.hypot(y - 80, x - 80) < 12) + 2 * (np.hypot(y - 80, x - 105) < 12)


class Network:
    """Answers points and regions by masks that a function of the labels and the disc's number gives."""

    def __init__(self, labels, mask_of):
        self.labels, self.mask_of = labels, mask_of
        self.asked = []

    def logits(self, frame, prompts):
        y, x = np.round(prompts.points_yx[0]).astype(int)
        mask = self.mask_of(self.labels, self.labels[y, x])
        h, w = frame.logits_hw
        rows, columns = (np.arange(n) * size // n for n, size in ((h, HW[0]), (w, HW[1])))
        return np.where(mask[np.ix_(rows, columns)], np.float32(9), np.float32(-9))

    def stream(self, embedding, prompts, choose, *, batch):
        frame = embedding.frame
        self.asked += prompts
        candidates = []
        for index, one in enumerate(prompts):
            mask, iou = (1, 0.55) if one.area is None else (0, 0.8)
            drawn = torch.from_numpy(self.logits(frame, one))
            candidates.append(Candidate(index, mask, iou, drawn, frame))
        yield len(prompts), candidates


@pytest.fixture(scope="module")
def calibration():
    return load_model("tiny").dense.calibration


def found_by(mask_of, calibration, labels):
    return ask(Network(labels, mask_of), calibration, labels)


def ask(network, calibration, labels, thresholds=None):
    proposals = seeds_in(right_maps(labels), FRAME, FRAME.logits_hw)
    settings, found = AutomaticSettings(), []
    decode_seeds(
        network,
        SimpleNamespace(frame=FRAME),
        proposals,
        thresholds or Thresholds.of(settings, calibration),
        calibration,
        settings,
        lambda _done: None,
        plane=Plane(),
        into=found,
    )
    return found


def test_thresholds_reach_from_none_to_all_on_every_models_scale(calibration):
    settings = AutomaticSettings
    for threshold, own in ((0, 0), (0.44, 0.25), (0.88, 0.5), (0.94, 0.75), (1, 1)):
        assert Thresholds.of(settings(pred_iou_thresh=threshold), calibration).iou == pytest.approx(own)
    for threshold, own in ((0, 0), (0.95, 0.5), (0.975, 0.75), (1, 1)):
        found = Thresholds.of(settings(stability_score_thresh=threshold), calibration)
        assert found.stability == pytest.approx(own)
    assert Thresholds.of(settings(pred_iou_thresh=0.93), None).iou == 0.93


def iou(one, mask):
    own = one.crop.to_mask(HW)
    return (own & mask).sum() / (own | mask).sum()


def piece_of(one: FoundObject) -> Piece:
    item = Item(found=one, key=None, roundness=1.0, at_border=False, detail="whole")
    return automatic_piece(Document(), 1, item, MADE_BY, by_grid=False)


def joined(labels, _number):
    return labels > 0


def test_where_the_network_joins_two_rods_their_regions_are_the_masks(calibration):
    labels = rods()
    found = found_by(joined, calibration, labels)
    for number in (1, 2):
        [best] = [one for one in found if iou(one, labels == number) > 0.8]
        assert best.is_proposed
        piece = piece_of(best)
        assert piece.answer.made_by is None, "the network gave no such mask, which replay could repeat"
        assert piece.mask == best.crop
        assert len(piece.prompts.points_yx) == 1


def test_round_objects_have_the_networks_masks(calibration):
    assert not any(one.is_proposed for one in found_by(joined, calibration, discs()))


@pytest.mark.parametrize("objects", [rods, discs])
def test_where_the_network_is_right_its_masks_are_taken(calibration, objects):
    labels = objects()
    found = found_by(lambda labels, number: labels == number, calibration, labels)
    assert all(max(iou(one, labels == number) for one in found) > 0.9 for number in (1, 2))
    assert not any(one.is_proposed for one in found)
    assert all(piece_of(one).answer.made_by == MADE_BY for one in found)


def of_number(labels, number):
    return labels == number


def test_the_network_attends_to_the_surroundings_of_each_object(calibration, monkeypatch):
    monkeypatch.setattr(seeds, "DIAMETERS", 2)
    labels = discs()
    network = Network(labels, of_number)
    found = ask(network, calibration, labels)
    assert {labels[tuple(np.round(one.prompts.points_yx[0]).astype(int))] for one in found} == {1, 2}
    for one in network.asked:
        y0, x0, y1, x1 = one.within
        # a disc is three tokens of 8 pixels wide, and the window twice that, in steps of four tokens
        assert (y1 - y0, x1 - x0) == (64, 64)
        y, x = one.points_yx[0]
        assert y0 + 16 < y < y1 - 16
        assert x0 + 16 < x < x1 - 16
    for one in found:
        assert piece_of(one).answer.request.prompts.within == one.prompts.within, "for replay"


def test_a_mask_that_leaves_its_window_is_decoded_again_on_the_whole_region(calibration, monkeypatch):
    monkeypatch.setattr(seeds, "DIAMETERS", 2)
    labels = discs()
    stripe = np.zeros(HW, bool)
    stripe[70:90] = True
    network = Network(labels, lambda *_: stripe)
    found = ask(network, calibration, labels, Thresholds(0, 0))
    assert found
    for one in found:
        assert one.prompts.within is None
        assert iou(one, stripe) == 1
    pointed = [one.within is None for one in network.asked if one.area is None]
    assert pointed[:4] == [False, False, True, True]
