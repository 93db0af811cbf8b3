"""Maps of a dense head -> one seed for each object: where, how sure, how large, and which pixels are its own."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_samv1.engine.automatic.proposals import Calibration, Proposals
from napari_samv1.engine.embedding import Embedding
from napari_samv1.model.dense_head import RADIUS, DenseHead
from napari_samv1.records.frame import LOGITS_PER_TOKEN, Frame

INSIDE = 0.5
"""Probability from which on a pixel belongs to an object."""
PEAK = 0.25
"""Least evidence of a centre, 0 to 1."""
APART = 0.5
"""Least distance between two centres, in radii."""
REACH = 0.8
"""How far from a centre a pixel's vote may fall, in radii of the pixel's own object."""
SUPPORT = 0.25
"""Least share of its disc that a seed's own pixels must fill."""
SPREAD = 0.2
"""Votes for one centre scatter by about this many radii."""
SMALLEST, LARGEST = 0.7, 6.0
"""Least and largest blur of the votes, in pixels of the maps."""

Map = NDArray[np.float32]


class HeadProposer:
    """Proposes one point for every object that a dense head sees in an embedding."""

    def __init__(self, head: DenseHead, calibration: Calibration) -> None:
        self.head = head
        self.calibration = calibration

    @torch.inference_mode()
    def maps(self, embedding: Embedding) -> Map:
        """The head's maps (6, h, w), on the grid of the decoder's logits."""
        head_device = next(self.head.parameters()).device
        maps: Map = self.head(embedding.tokens_bchw.to(head_device))[0].float().cpu().numpy()
        return maps

    def __call__(self, embedding: Embedding) -> Proposals:
        """Seeds in the image's pixels, the surest first; padding has none."""
        maps = self.maps(embedding)
        rows, columns = embedding.frame.logits_valid_hw
        return seeds_in(maps, embedding.frame, (rows, columns))


def seeds_in(maps: Map, frame: Frame, valid_hw: tuple[int, int]) -> Proposals:
    """Maps (6, h, w) as `DenseHead` makes them -> a seed for each object.

    Every pixel inside an object votes for its centre. Centres are where votes and the map of centres peak;
    an object's pixels are those whose votes fall near its centre, its point one of the deepest of them.
    """
    stride = frame.patch / LOGITS_PER_TOKEN
    inside, centre = _chance(maps[0]), _chance(maps[2])
    inside[valid_hw[0] :], inside[:, valid_hw[1] :] = 0, 0
    radius = np.maximum(np.exp(maps[5]) * RADIUS / stride, SMALLEST)
    height, width = inside.shape
    filled = inside > INSIDE
    votes_yx = np.indices((height, width), np.float32) + maps[3:5] * radius
    evidence, nearby_radius = _evidence(inside, centre, radius, filled, votes_yx)
    points, scores = _peaks(evidence, nearby_radius, filled)
    if not len(points):
        return Proposals(
            np.zeros((0, 2)), np.zeros(0, np.float32), np.zeros(0, np.float32), regions=np.zeros((height, width), np.int32)
        )
    regions = np.zeros((height, width), np.int32)
    away, owner = cKDTree(points).query(votes_yx[:, filled].T)
    regions[filled] = np.where(away < REACH * radius[filled], owner + 1, 0)
    area = np.bincount(regions.ravel(), minlength=len(points) + 1)[1:]
    expected = np.pi * nearby_radius[points[:, 0], points[:, 1]] ** 2
    good = area > np.maximum(SUPPORT * expected, 1)
    regions = np.concatenate([[0], np.cumsum(good) * good]).astype(np.int32)[regions]
    deepest = _deepest(regions, points[good])
    image_pixels = np.sqrt(np.maximum(area[good], 1) / np.pi) * stride / np.sqrt(np.prod(frame.scale_yx))
    return Proposals(
        frame.from_logits_yx(deepest), scores[good], image_pixels.astype(np.float32), regions=regions
    )


def _chance(logits: Map) -> Map:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def _evidence(
    inside: Map, centre: Map, radius: Map, filled: NDArray[np.bool_], votes_yx: Map
) -> tuple[Map, Map]:
    """How much speaks for a centre at each pixel, 0 to 1, and the radius of what lies there."""
    height, width = inside.shape
    weights = (inside / (np.pi * radius**2))[filled]  # all votes for one object sum to about 1
    rows = np.clip(np.rint(votes_yx[0][filled]), 0, height - 1).astype(int)
    columns = np.clip(np.rint(votes_yx[1][filled]), 0, width - 1).astype(int)
    votes = np.bincount(rows * width + columns, weights, height * width).reshape(height, width)
    share = ndimage.gaussian_filter(filled.astype(np.float32), 1.5)
    nearby = ndimage.gaussian_filter(np.where(filled, radius, 0), 1.5) / np.maximum(share, 1e-3)
    gathered = _gathered(votes, np.clip(SPREAD * nearby, SMALLEST, LARGEST))
    return 0.5 * np.clip(2 * gathered, 0, 1) + 0.5 * ndimage.gaussian_filter(centre, SMALLEST), nearby


def _gathered(votes: NDArray[np.float64], blur: Map) -> Map:
    """Votes around each pixel, weighed by a Gaussian of its own width and height 1."""
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


def _deepest(regions: NDArray[np.int32], centres: NDArray[np.intp]) -> NDArray[np.float64]:
    """Of each region the pixel that is deep inside and near its centre."""
    found = np.zeros((len(centres), 2))
    for index, bounds in enumerate(ndimage.find_objects(regions, max_label=len(centres))):
        part = regions[bounds] == index + 1
        depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
        start = np.array([bounds[0].start, bounds[1].start])
        rows, columns = np.indices(part.shape)
        y, x = centres[index] - start
        place = np.argmax(depth - 0.25 * np.hypot(rows - y, columns - x))
        found[index] = start + np.unravel_index(place, part.shape)
    return found
