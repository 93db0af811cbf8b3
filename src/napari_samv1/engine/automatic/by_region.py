"""Everything in an image of any size, region by region.

The regions of a detail overlap by half. An object belongs to the one whose middle is nearest to its seed, so
that none is found twice and no region depends on another: any order, and any number of workers, give the
same objects. An object cut off by its region's edge is decoded again in a region that holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_samv1.engine.automatic.decoding import OnDecoded, decode
from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.grid import best_in_crop, grid_prompts, three_above
from napari_samv1.engine.automatic.progress import Share
from napari_samv1.engine.automatic.proposals import Proposals, Proposer
from napari_samv1.engine.automatic.seeds import PUBLISHED, Thresholds, decode_seeds, distinct
from napari_samv1.engine.automatic.shapes import wanted_shapes
from napari_samv1.engine.automatic.small_regions import clean, without_small_regions
from napari_samv1.engine.embedding import Embedding
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.regions import RegionGrid, Used, Window
from napari_samv1.engine.view import ImageView
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.detail import checked_detail
from napari_samv1.records.place import Region
from napari_samv1.records.prompts import Prompts

SMALL = 12.0
"""Diameter in model pixels below which objects are searched again at twice the detail."""

UNSURE = 0.7
"""Mean score of the proposals below which larger objects may be searched at twice the detail, too."""

LEAD = 0.1
"""Lead in the mean score that they need there."""

COARSEST = 0.25
"""Model pixels per image pixel of a first look; objects below 48 image pixels count as small there."""

FINEST = 4.0
"""Model pixels per image pixel beyond which more detail shows nothing new."""

ENCODING_SHARE = 0.5
"""Share of a region's progress that its encoding takes."""


def first_detail(view: ImageView, settings: AutomaticSettings) -> Used:
    """Detail of the first look at an image; coarse where seeds tell the size of objects."""
    if settings.detail != "auto" or settings.mode == "grid" or view.predictor.proposer is None:
        return checked_detail(settings.detail)
    fits = view.predictor.model.preparation.side >= COARSEST * max(view.plane_hw)
    return "whole" if fits else COARSEST


def region_windows(
    view: ImageView, settings: AutomaticSettings, within: Window | None = None
) -> list[Window]:
    """Regions of an image, which may be searched in any order.

    With ``within``, only those that may own a seed in that window.
    """
    grid = view.grid(first_detail(view, settings))
    if within is None:
        return list(grid)
    return _meeting(grid, [_within(within)])


def find_in_region(
    view: ImageView,
    window: Window,
    settings: AutomaticSettings,
    proposer: Proposer | None,
    share: Share,
    into: list[FoundObject],
    within: Window | None = None,
) -> None:
    """Append the objects whose seeds belong to a region to ``into``; without a proposer, seeds lie on a grid.

    Seeds outside the window ``within`` are left out. If ``share`` raises, the list keeps its objects.
    """
    _Finder(view, settings, proposer, share, into).look(window, first_detail(view, settings), within)


def joined(
    objects: Sequence[FoundObject],
    settings: AutomaticSettings,
    image_hw: tuple[int, int],
    *,
    calibration: Calibration | None,
) -> list[FoundObject]:
    """Objects of all regions without duplicates, the best first, independent of their order.

    ``calibration`` is that of the proposer, None for a grid.
    """
    by_place = sorted(objects, key=lambda one: (one.box, one.point_yx, one.candidate))
    if calibration is not None:
        if settings.min_mask_region_area:
            by_place = [clean(one, settings.min_mask_region_area, image_hw) for one in by_place]
        return distinct(wanted_shapes(by_place, settings, image_hw), settings, calibration)
    best = best_in_crop(wanted_shapes(by_place, settings, image_hw), settings)
    return without_small_regions(best, settings, image_hw) if settings.min_mask_region_area else best


class _Finder:
    """Finds the objects of one region, or of finer regions in its place."""

    def __init__(
        self,
        view: ImageView,
        settings: AutomaticSettings,
        proposer: Proposer | None,
        share: Share,
        into: list[FoundObject],
    ) -> None:
        self.view = view
        self.settings = settings
        self.proposer = proposer
        self.share = share
        self.into = into
        self.calibration = PUBLISHED if proposer is None else proposer.calibration
        self.thresholds = Thresholds.of(settings, self.calibration)

    def look(self, window: Window, detail: Used, within: Window | None) -> None:
        """Find the objects that a region owns, at a detail, or at a finer one where they are small."""
        owner = _owner(self.view.grid(detail), window)
        self._find(window, detail, [owner] if within is None else [_within(within), owner])

    def _find(self, window: Window, detail: Used, owners: list[_Cell]) -> None:
        embedding = self._encoded(window)
        if self.proposer is None:
            prompts = grid_prompts(embedding.frame, self.settings.points_per_side)
            points = np.array([one.points_yx[0] for one in prompts]).reshape(-1, 2)
            owned = np.flatnonzero(_owned(points, owners))
            self._decode_grid(embedding, [prompts[i] for i in owned], detail)
            return
        proposals = self.proposer(embedding)
        proposals = proposals.where(_owned(proposals.points_yx, owners))
        finer = self._finer(embedding, proposals)
        if finer is None:
            self._decode_seeds(embedding, proposals, detail)
            return
        grid = self.view.grid(finer)
        for smaller in _meeting(grid, owners):
            self._find(smaller, finer, [*owners, _owner(grid, smaller)])

    def _finer(self, embedding: Embedding, proposals: Proposals) -> float | None:
        """Twice the detail where it may be chosen and objects are small, or seen better, at it."""
        scale = min(embedding.frame.scale_yx)
        is_known = np.isfinite(proposals.radii).any()
        if self.settings.detail != "auto" or not is_known or 2 * scale > FINEST:
            return None
        finer = 2 * scale
        if typical_diameter(proposals) * scale < SMALL:
            return finer
        # at native size larger objects are seen well
        return finer if scale < 1 and self._is_surer(proposals, finer) else None

    def _is_surer(self, proposals: Proposals, finer: float) -> bool:
        """Return True if the proposer is unsure, and surer at a finer detail around the largest proposal."""
        window = self.view.grid(finer).nearest(proposals.points_yx[_largest(proposals)])
        here = _sureness(proposals.where(_within(window).owns(proposals.points_yx)))
        if here >= UNSURE or self.proposer is None:
            return False
        return _sureness(self.proposer(self._encoded(window))) - here >= LEAD

    def _encoded(self, window: Window) -> Embedding:
        def on_block(done: int, blocks: int) -> None:
            self.share.at(ENCODING_SHARE * done / blocks)

        self.share.at(0)
        embedding = self.view.encode(window, on_block)
        # proposers of scripts may lack the attribute
        sees_pixels = getattr(self.proposer, "sees_pixels", False)
        return self.view.with_pixels(embedding) if sees_pixels else embedding

    def _decode_grid(self, embedding: Embedding, prompts: Sequence[Prompts], detail: Used) -> None:
        found: list[FoundObject] = []
        try:
            decode(
                self.view.predictor,
                embedding,
                prompts,
                three_above(self.thresholds.iou),
                self.settings,
                self._on_decoded(len(prompts)),
                stability_thresh=self.thresholds.stability,
                plane=self.view.plane,
                into=found,
            )
        finally:
            whole = [one for one in found if not self._is_cut_off(one)]
            self.into += best_in_crop(wanted_shapes(whole, self.settings, self.view.plane_hw), self.settings)
        self._again([one for one in found if self._is_cut_off(one)], detail)

    def _decode_seeds(self, embedding: Embedding, proposals: Proposals, detail: Used) -> None:
        found: list[FoundObject] = []
        try:
            decode_seeds(
                self.view.predictor,
                embedding,
                proposals,
                self.thresholds,
                self.calibration,
                self.settings,
                self._on_decoded(len(proposals)),
                plane=self.view.plane,
                into=found,
            )
        finally:
            self.into += [one for one in found if not self._is_cut_off(one)]
        self._again([one for one in found if self._is_cut_off(one)], detail)

    def _again(self, cut_off: Sequence[FoundObject], detail: Used) -> None:
        """Decode objects that meet an edge of their region again, as clicks, in a region that holds them."""
        # clicks, because a proposed region is cut off as well
        prompts = list({one.prompts.clicked: None for one in cut_off})
        if not prompts:
            return
        self.share.at(1)
        for one, prediction in zip(prompts, self.view.answer_each(prompts, detail), strict=True):
            answered = self._answered(one, prediction)
            if self.thresholds.keep(answered):
                self.into.append(answered)

    def _answered(self, prompts: Prompts, prediction: Prediction) -> FoundObject:
        best = prediction.best()
        crop = prediction.crop(best)
        stability = prediction.stability(offset=self.settings.stability_score_offset)[best]
        region = Region(self.view.plane, prediction.region_yxhw)
        return FoundObject(
            PackedCrop.of(crop),
            crop.area,
            float(prediction.iou[best]),
            float(stability),
            prompts,
            best,
            region,
        )

    def _is_cut_off(self, one: FoundObject) -> bool:
        top, left, height, width = one.region.window_yxhw
        plane_h, plane_w = self.view.plane_hw
        y0, x0, y1, x1 = one.box
        return one.area > 0 and (
            (y0 == top > 0)
            or (x0 == left > 0)
            or (y1 == top + height - 1 < plane_h - 1)
            or (x1 == left + width - 1 < plane_w - 1)
        )

    def _on_decoded(self, total: int) -> OnDecoded:
        def on_decoded(done: int) -> None:
            self.share.at(ENCODING_SHARE + (1 - ENCODING_SHARE) * done / total)

        return on_decoded


def _largest(proposals: Proposals) -> int:
    """Index of the largest proposal, by its region if there is one."""
    if proposals.regions is not None:
        return int(np.argmax([region.area for region in proposals.regions]))
    return int(np.argmax(np.nan_to_num(proposals.radii)))


def typical_diameter(proposals: Proposals) -> float:
    """Median diameter in image pixels, each weighted by itself, so that specks of dust count little."""
    radii = np.sort(proposals.radii[np.isfinite(proposals.radii)])
    weights = np.cumsum(radii)
    return 2 * float(radii[np.searchsorted(weights, weights[-1] / 2)])


def _sureness(proposals: Proposals) -> float:
    """Mean score of the proposals, each weighted by its radius; 0 without any."""
    known = np.isfinite(proposals.radii)
    weights = proposals.radii[known]
    return float(np.average(proposals.scores[known], weights=weights)) if weights.sum() > 0 else 0.0


@dataclass(frozen=True)
class _Cell:
    """Part of the plane: from above the first bound of each axis up to the second."""

    rows: tuple[float, float]
    columns: tuple[float, float]

    def owns(self, points_yx: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return True for each point (N, 2) inside; the border of two cells belongs to the first of them."""
        inside = [
            (low < along) & (along <= high)
            for along, (low, high) in zip(points_yx.T, (self.rows, self.columns), strict=True)
        ]
        return np.asarray(inside[0] & inside[1])


def _owner(grid: RegionGrid, window: Window) -> _Cell:
    """Cell of the points that are nearest to the middle of a region."""
    bounds = []
    for starts, start, size in zip(grid.starts, window[:2], window[2:], strict=True):
        middles = starts + (size - 1) / 2
        middle = start + (size - 1) / 2
        before, after = middles[middles < middle], middles[middles > middle]
        bounds.append(
            (
                float(before.max() + middle) / 2 if len(before) else -np.inf,
                float(after.min() + middle) / 2 if len(after) else np.inf,
            )
        )
    return _Cell(bounds[0], bounds[1])


def _within(window: Window) -> _Cell:
    """Cell of the points on the pixels of a window."""
    top, left, height, width = window
    return _Cell((top - 0.5, top + height - 0.5), (left - 0.5, left + width - 0.5))


def _meeting(grid: RegionGrid, cells: Sequence[_Cell]) -> list[Window]:
    """Windows of a grid that own points in the overlap of all cells."""
    height, width = (min(grid.extent, size) for size in grid.plane_hw)
    along = []
    for starts, size, bounds in zip(
        grid.starts,
        (height, width),
        ([one.rows for one in cells], [one.columns for one in cells]),
        strict=True,
    ):
        middles = starts + (size - 1) / 2
        between = (middles[1:] + middles[:-1]) / 2
        low = np.maximum(np.append(-np.inf, between), max(first for first, _ in bounds))
        high = np.minimum(np.append(between, np.inf), min(last for _, last in bounds))
        along.append(starts[low < high])
    return [(int(top), int(left), height, width) for top in along[0] for left in along[1]]


def _owned(points_yx: NDArray[np.float64], owners: Sequence[_Cell]) -> NDArray[np.bool_]:
    owned = np.ones(len(points_yx), dtype=bool)
    for owner in owners:
        owned &= owner.owns(points_yx)
    return owned
