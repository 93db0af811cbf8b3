"""A slide of known objects: a stand-in answers with the object under each point, cut at its region's edge."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from scipy.ndimage import center_of_mass, find_objects

from napari_samv1.engine.automatic.everything import in_regions
from napari_samv1.engine.automatic.proposals import Proposals
from napari_samv1.engine.candidate import Candidate
from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.view import ImageView
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.frame import Frame
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import Preparation

SIDE, PATCH = 128, 8
SEEDED = AutomaticSettings(mode="seeds", detail=1.0, stability_score_thresh=0.0)


class Slide:
    """Discs of 5 to 14 pixels' radius, none nearer than 2 pixels to another, and one that fits no region."""

    def __init__(self, hw=(460, 420), seed=0, large=True, tries=700):
        random = np.random.default_rng(seed)
        self.labels = np.zeros(hw, dtype=np.int32)
        y, x = np.ogrid[: hw[0], : hw[1]]
        number = 0
        if large:
            number = 1
            self.labels[np.hypot(y - 230, (x - 210) * 0.6) < 75] = 1
        for _ in range(tries):
            cy, cx = random.uniform(0, hw[0]), random.uniform(0, hw[1])
            radius = random.uniform(5, 14)
            first_y, first_x = (max(int(c) - 18, 0) for c in (cy, cx))
            around = slice(first_y, int(cy) + 18), slice(first_x, int(cx) + 18)
            distance = np.hypot(y[around[0]] - cy, x[:, around[1]] - cx)
            if not self.labels[around][distance < radius + 2].any():
                number += 1
                self.labels[around][distance < radius] = number
        self.count = number


@dataclass
class Decoder:
    """Answers each point with the object that it lies on, as a signed distance, within the region alone."""

    labels: np.ndarray
    model = SimpleNamespace(preparation=SimpleNamespace(side=SIDE, box_only=False), name="known")
    proposer = None
    decodes = 0

    def stream(self, embedding, prompts, choose, *, batch):
        for done, one in enumerate(prompts, start=1):
            logits, iou = self.ask(embedding.frame, one)
            chosen = choose([one], iou[None])[0]
            yield (
                done,
                [
                    Candidate(done - 1, i, float(iou[i]), logits[i], embedding.frame)
                    for i in np.flatnonzero(chosen)
                ],
            )

    def answer_each(self, embedding, prompts):
        return [Prediction(*self.ask(embedding.frame, one), embedding.frame, True) for one in prompts]

    predict_each = answer_each

    def iou_of(self, number):
        """The predicted IoU of an object's mask."""
        return 0.95

    def ask(self, frame, prompts):
        Decoder.decodes += 1
        y, x = np.round(prompts.points_yx[0]).astype(int)
        number = self.labels[y, x] or self.labels.max() + 1
        h, w = frame.logits_hw
        corners = frame.from_logits_yx([(0, 0), (h - 1, w - 1)])
        rows, columns = np.linspace(*corners[:, 0], h), np.linspace(*corners[:, 1], w)
        top, left, height, width = frame.window_yxhw
        own = self.labels[top : top + height, left : left + width] == number
        own = resampled(resampled(own.astype(np.float32), rows - top).T, columns - left).T
        logits = 40 * own - 20
        iou = np.full(4, self.iou_of(number) if own.any() else 0.1, np.float32)
        return np.stack([logits] * 4), iou


def resampled(values, at):
    """Rows between rows by linear interpolation; beyond the first and the last those go on."""
    at = at.clip(0, len(values) - 1)
    first = at.astype(int).clip(0, max(len(values) - 2, 0))
    share = (at - first).astype(np.float32)[:, None]
    return values[first] * (1 - share) + values[np.minimum(first + 1, len(values) - 1)] * share


def key_of(frame):
    return EmbeddingKey("known", "0" * 64, Preparation(side=SIDE), frame, None, 1.0, "float32", "cpu")


class KnownView(ImageView):
    """Regions of the slide; encoding is remembering where."""

    def __init__(self, labels, decoder=None):
        pixels = SimpleNamespace(plane=Plane(), plane_hw=labels.shape)
        super().__init__(Decoder(labels) if decoder is None else decoder, pixels, None)

    def encode(self, window_yxhw, on_progress=None):
        frame = Frame.plan(self.plane_hw, side=SIDE, patch=PATCH, window_yxhw=window_yxhw)
        return SimpleNamespace(frame=frame, grid_hw=frame.grid_hw, key=key_of(frame))


@dataclass
class Centres:
    """Proposes the middle of each visible part of an object, some of them twice."""

    labels: np.ndarray
    radius: float = np.nan
    score: float = 1.0
    calibration = Calibration()

    def __call__(self, embedding):
        top, left, height, width = embedding.frame.window_yxhw
        seen = self.labels[top : top + height, left : left + width]
        numbers = np.setdiff1d(np.unique(seen), 0)
        points = np.array(center_of_mass(seen > 0, seen, numbers)).reshape(-1, 2) + np.array([top, left])
        inside = [
            self.labels[tuple(np.round(point).astype(int))] == number
            for point, number in zip(points, numbers, strict=True)
        ]
        points = points[np.array(inside, dtype=bool)] if len(points) else points
        last = np.array(self.labels.shape) - 1
        points = np.concatenate([points, np.minimum(points[::3] + 1.5, last)])
        on = self.labels[tuple(np.round(points).astype(int).T)] > 0
        points = points[on]
        scores, radii = (np.full(len(points), one, np.float32) for one in (self.score, self.radius))
        return Proposals(points, scores, radii)


def found_in(labels, settings=SEEDED, proposer=None):
    proposer = Centres(labels) if proposer is None else proposer
    return in_regions(KnownView(labels), settings, proposer, None)


def matches(found, labels):
    """For each true object the IoU of the best found one, and how many found ones share most of it."""
    own = found.labels()
    best = []
    for number, region in enumerate(find_objects(labels), start=1):
        if region is None:
            continue
        mask = labels[region] == number
        ids, counts = np.unique(own[region][mask], return_counts=True)
        ious = [
            count / (mask.sum() + found.objects[i - 1].area - count)
            for i, count in zip(ids, counts, strict=True)
            if i
        ]
        best.append(max(ious, default=0.0))
    return np.array(best)
