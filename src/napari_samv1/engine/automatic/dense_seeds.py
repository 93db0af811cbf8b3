"""Maps of a dense head -> one seed for each object: its point, score, radius and pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_samv1.engine.automatic.proposals import Proposals
from napari_samv1.engine.embedding import Embedding
from napari_samv1.model.dense_head import RADIUS, DenseHead
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.frame import LOGITS_PER_TOKEN, Frame
from napari_samv1.records.mask_crop import MaskCrop

INSIDE = 0.5
"""Probability from which on a pixel belongs to an object."""
PEAK = 0.25
"""Least evidence of a centre, 0 to 1."""
APART = 0.5
"""Least distance between two centres, in radii."""
REACH = 0.8
"""Largest distance of a pixel's vote from a centre, in radii of the pixel's own object."""
SUPPORT = 0.25
"""Least share of its disc that a seed's own pixels must fill."""
SPREAD = 0.2
"""Scatter of the votes for one centre, in radii."""
RIMS = (0.5, 0.25, 0.1)
"""Probabilities from which on a rim pixel closes off a region."""
LEAST_FILLED = 0.25
"""Least mean probability of being inside an object, in a region that rims enclose."""
LEAST_BASIN, MOST_BASIN = 6, 0.25
"""Least size of an enclosed region in pixels of the maps, and largest as a share of the maps."""
SAME = 0.6
"""IoU with a proposed region above which an enclosed region is not proposed again."""
SMALLEST, LARGEST = 0.7, 6.0
"""Least and largest blur of the votes, in pixels of the maps."""

Map = NDArray[np.float32]


class HeadProposer:
    """Proposes one point for every object that a dense head sees in an embedding."""

    def __init__(self, head: DenseHead, calibration: Calibration) -> None:
        self.head = head
        self.calibration = calibration

    @property
    def sees_pixels(self) -> bool:
        """Return True if the head sees the network's input as well as its image tokens."""
        return self.head.stem is not None

    @torch.inference_mode()
    def maps(self, embedding: Embedding) -> Map:
        """The head's maps (6, h, w), on the grid of the decoder's logits."""
        device = next(self.head.parameters()).device
        pixels_bchw = embedding.pixels_bchw
        maps_bchw = self.head(
            embedding.tokens_bchw.to(device), None if pixels_bchw is None else pixels_bchw.to(device)
        )
        maps: Map = maps_bchw[0].float().cpu().numpy()
        return maps

    def __call__(self, embedding: Embedding) -> Proposals:
        """Seeds in the image's pixels, those by votes first; none in the padding."""
        maps = self.maps(embedding)
        rows, columns = embedding.frame.logits_valid_hw
        return seeds_in(maps, embedding.frame, (rows, columns))


def seeds_in(maps: Map, frame: Frame, valid_hw: tuple[int, int]) -> Proposals:
    """Maps (6, h, w) of a `DenseHead` -> a seed for each sure object, then for each possible one.

    Every pixel inside an object votes for its centre. Centres are where votes and the map of centres peak;
    an object's pixels are those whose votes fall near its centre. Regions enclosed by rims are proposed too,
    unless votes gave a similar object. A seed's point is one of its deepest pixels.
    """
    stride = frame.patch / LOGITS_PER_TOKEN
    inside, rim, centre = (_chance(maps[i]) for i in range(3))
    for chance in (inside, rim, centre):
        chance[valid_hw[0] :], chance[:, valid_hw[1] :] = 0, 0
    radius = np.maximum(np.exp(maps[5]) * RADIUS / stride, SMALLEST)
    labels, centres, scores = _by_votes(inside, centre, radius, maps[3:5])
    voted = list(_cut(labels, centres, scores))
    enclosed = sorted(_enclosed(inside, rim, labels), key=lambda one: -one.score)
    found = [*voted, *enclosed]
    radii = np.array([one.radius for one in found]) * stride / np.sqrt(np.prod(frame.scale_yx))
    return Proposals(
        frame.from_logits_yx([one.point_yx for one in found]),
        np.array([one.score for one in found], np.float32),
        radii.astype(np.float32),
        regions=tuple(one.crop for one in found),
        chances=np.stack([inside, rim]),
        sure=len(voted),
    )


@dataclass(frozen=True, eq=False)
class Seed:
    """Region of the maps with its point, and the score of an object there.

    ``radius`` is that of the largest disc in the region, so that narrow regions count as small.
    """

    crop: MaskCrop
    point_yx: tuple[int, int]
    radius: float
    score: float


def _by_votes(
    inside: Map, centre: Map, radius: Map, offsets: Map
) -> tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.float32]]:
    """Labels (h, w) of objects, their centres (N, 2), and the evidence for each."""
    height, width = inside.shape
    filled = inside > INSIDE
    votes_yx = np.indices((height, width), np.float32) + offsets * radius
    evidence, nearby_radius = _evidence(inside, centre, radius, filled, votes_yx)
    points, scores = _peaks(evidence, nearby_radius, filled)
    labels = np.zeros((height, width), np.int32)
    if not len(points):
        return labels, points, scores
    away, owner = cKDTree(points).query(votes_yx[:, filled].T)
    labels[filled] = np.where(away < REACH * radius[filled], owner + 1, 0)
    area = np.bincount(labels.ravel(), minlength=len(points) + 1)[1:]
    expected = np.pi * nearby_radius[points[:, 0], points[:, 1]] ** 2
    good = area > np.maximum(SUPPORT * expected, 1)
    labels = np.append(0, np.cumsum(good) * good).astype(np.int32)[labels]
    return labels, points[good], scores[good]


def _cut(labels: NDArray[np.int32], centres: NDArray[np.intp], scores: NDArray[np.float32]) -> Iterator[Seed]:
    """Yield a seed for each label, its point deep inside and near its centre."""
    for index, bounds in enumerate(ndimage.find_objects(labels, max_label=len(centres))):
        part = labels[bounds] == index + 1
        start = np.array([bounds[0].start, bounds[1].start])
        rows, columns = np.indices(part.shape)
        y, x = centres[index] - start
        away = np.hypot(rows - y, columns - x)
        yield _seed(part, start, float(scores[index]), away)


def _enclosed(inside: Map, rim: Map, labels: NDArray[np.int32]) -> Iterator[Seed]:
    """Yield regions that rims enclose, at several strengths, unless ``labels`` or weaker rims have them."""
    area = np.bincount(labels.ravel())
    for growth, strength in enumerate(RIMS, 1):
        basins, count = ndimage.label(rim < strength)
        for index, bounds in enumerate(ndimage.find_objects(basins, max_label=count)):
            grown = tuple(slice(max(s.start - growth - 1, 0), s.stop + growth + 1) for s in bounds)
            core = basins[grown] == index + 1
            size = np.count_nonzero(core)
            if size < LEAST_BASIN or size > MOST_BASIN * inside.size:
                continue
            part = ndimage.binary_dilation(core, iterations=growth)
            filled = float(inside[grown][core].mean())
            if filled < LEAST_FILLED:
                continue
            shared = np.bincount(labels[grown][part], minlength=len(area))
            shared[0] = 0
            whole = np.count_nonzero(part)
            if (shared / np.maximum(area + whole - shared, 1)).max() > SAME:
                continue
            ring = ndimage.binary_dilation(part) & ~core
            closed = float(rim[grown][ring].mean())
            start = np.array([grown[0].start, grown[1].start])
            yield _seed(part, start, min(1.0, 2 * filled) * closed)
            # a label, so that the next strength proposes only smaller parts of it
            labels, area = _added(labels, area, grown, part)


def _added(
    labels: NDArray[np.int32],
    area: NDArray[np.intp],
    bounds: tuple[slice, ...],
    part: NDArray[np.bool_],
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Copy of the labels with one more object on top, and the areas of all."""
    taken = labels.copy()
    taken[bounds][part] = len(area)
    return taken, np.bincount(taken.ravel(), minlength=len(area) + 1)


def _seed(
    part: NDArray[np.bool_], start: NDArray[np.intp], score: float, away: NDArray[np.float64] | None = None
) -> Seed:
    """Seed of a region that begins at ``start``; its point is deep inside, where ``away`` is small."""
    depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    wanted = depth if away is None else depth - 0.25 * away
    row, column = np.unravel_index(int(np.argmax(np.where(part, wanted, -np.inf))), part.shape)
    crop = MaskCrop.from_mask(part, (int(start[0]), int(start[1])))
    return Seed(crop, (int(start[0] + row), int(start[1] + column)), float(depth.max()) - 0.5, score)


def _chance(logits: Map) -> Map:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def _evidence(
    inside: Map, centre: Map, radius: Map, filled: NDArray[np.bool_], votes_yx: Map
) -> tuple[Map, Map]:
    """Return the evidence for a centre at each pixel, 0 to 1, and the radius of the object there."""
    height, width = inside.shape
    weights = (inside / (np.pi * radius**2))[filled]  # all votes for one object sum to about 1
    rows = np.clip(np.rint(votes_yx[0][filled]), 0, height - 1).astype(int)
    columns = np.clip(np.rint(votes_yx[1][filled]), 0, width - 1).astype(int)
    counted = np.bincount(rows * width + columns, weights, height * width)
    votes = counted.reshape(height, width).astype(np.float64)
    share = ndimage.gaussian_filter(filled.astype(np.float32), 1.5)
    nearby = ndimage.gaussian_filter(np.where(filled, radius, 0), 1.5) / np.maximum(share, 1e-3)
    gathered = _gathered(votes, np.clip(SPREAD * nearby, SMALLEST, LARGEST))
    return 0.5 * np.clip(2 * gathered, 0, 1) + 0.5 * ndimage.gaussian_filter(centre, SMALLEST), nearby


def _gathered(votes: NDArray[np.float64], blur: Map) -> Map:
    """Votes around each pixel, weighted by a Gaussian of the pixel's ``blur`` and height 1."""
    blurs = SMALLEST * 2.0 ** np.arange(np.ceil(np.log2(LARGEST / SMALLEST)) + 1)
    stack = np.stack([ndimage.gaussian_filter(votes, b) * 2 * np.pi * b * b for b in blurs])
    place = np.log2(blur / SMALLEST)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, len(blurs) - 1)
    rows, columns = np.indices(votes.shape)
    between = place - below
    return np.asarray(
        stack[below, rows, columns] * (1 - between) + stack[above, rows, columns] * between, np.float32
    )


def _peaks(
    evidence: Map, radius: Map, filled: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Places (N, 2) of the maxima that are `APART`, and their evidence, the best first."""
    high = (evidence == ndimage.maximum_filter(evidence, 3)) & (evidence > PEAK)
    points = np.argwhere(high & ndimage.binary_dilation(filled))
    scores = evidence[points[:, 0], points[:, 1]]
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    reach = APART * radius[points[:, 0], points[:, 1]]
    open_ = np.ones(len(points), bool)
    kept = []
    for place in range(len(points)):
        if open_[place]:
            kept.append(place)
            away = np.hypot(*(points - points[place]).T)
            open_ &= away >= np.maximum(reach, 1)
    return points[kept], scores[kept].astype(np.float32)
