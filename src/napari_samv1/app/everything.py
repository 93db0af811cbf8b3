"""Automatic runs on planes of an image: find objects, filter them without decoding again, accept them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_samv1.annotation import edits
from napari_samv1.annotation.document import Document
from napari_samv1.annotation.history import Step
from napari_samv1.annotation.pieces import Answer, CandidateScores, Piece, Request, hinted
from napari_samv1.engine.automatic.by_region import find_in_region, region_windows
from napari_samv1.engine.automatic.everything import proposer_for
from napari_samv1.engine.automatic.found import FoundObject
from napari_samv1.engine.automatic.overlap import keep_by_boxes
from napari_samv1.engine.automatic.progress import Share
from napari_samv1.engine.automatic.seeds import PUBLISHED, Thresholds
from napari_samv1.engine.automatic.shapes import at_border, roundness
from napari_samv1.engine.automatic.specks import are_no_specks
from napari_samv1.engine.progress import Cancelled, OnProgress
from napari_samv1.engine.view import ImageView
from napari_samv1.masks.composite import Composite
from napari_samv1.masks.packed import PackedCrop
from napari_samv1.masks.paint import LabelImage, Painted
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.computation import Computation
from napari_samv1.records.detail import Detail
from napari_samv1.records.drawn import drawn_box, drawn_point
from napari_samv1.records.mask_crop import EMPTY, MaskCrop, Region
from napari_samv1.records.place import Plane
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import OVERWRITE, Choice, ObjectSettings

Window = tuple[int, int, int, int]
"""First row, first column, height, width."""

GRID_MARGIN = 0.3
"""Margin below the requested scores in which a grid's masks are kept, so that a slider can show them."""

GRID_OVERLAP = 0.9
"""Overlap of boxes above which a grid's masks count as one, at any setting."""

MOST_INSIDE = 0.5
"""Share of an object's pixels that must lie in the searched area."""


@dataclass(frozen=True, eq=False)
class Place:
    """Part of a plane to search: all of it, a drawn ``area``, or all but the area if it is ``left_out``.

    ``window`` bounds the seeds: the part on the screen, or the area's box.
    """

    plane: Plane
    window: Window | None = None
    area: MaskCrop | None = None
    left_out: bool = False

    def holds(self, crop: MaskCrop) -> bool:
        """True if most of a mask lies in the part to search."""
        if self.area is None:
            return True
        shared = np.count_nonzero(crop.mask & self.area.within(crop.region)) / max(1, crop.area)
        return bool(shared <= MOST_INSIDE if self.left_out else shared > MOST_INSIDE)


@dataclass(frozen=True, eq=False)
class Item:
    """A found object with properties to filter by, and the key and detail of the encoding that it is from."""

    found: FoundObject
    roundness: float
    at_border: bool
    key: Hashable
    detail: Detail


@dataclass(frozen=True, eq=False)
class Batch:
    """Objects found one after another on a plane.

    ``pairs`` (K, 2) are indices of overlapping items, the later first, counted from the plane's first item.
    ``shared`` (K,) is their overlap as a share of the smaller one.
    """

    plane: Plane
    plane_hw: tuple[int, int]
    items: tuple[Item, ...]
    pairs: NDArray[np.intp] = field(default_factory=lambda: np.zeros((0, 2), np.intp))
    shared: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class Means:
    """Means of a run: seeds or a grid, the calibration of its scores, and the thresholds already applied."""

    is_seeded: bool
    calibration: Calibration
    settings: AutomaticSettings

    @property
    def mode(self) -> str:
        """ "seeds" or "grid"."""
        return "seeds" if self.is_seeded else "grid"


def loosened(settings: AutomaticSettings, *, is_seeded: bool) -> AutomaticSettings:
    """Settings that keep all objects that filters may show later.

    Of a grid only masks within a margin, as most of its many masks show no object.
    """
    open_ = replace(settings, min_area=0, max_area=0, min_roundness=0.0, keep_border=True)
    if is_seeded:
        return replace(open_, pred_iou_thresh=0.0, stability_score_thresh=0.0, box_nms_thresh=1.0)
    return replace(
        open_,
        pred_iou_thresh=max(0.0, settings.pred_iou_thresh - GRID_MARGIN),
        stability_score_thresh=max(0.0, settings.stability_score_thresh - GRID_MARGIN),
        box_nms_thresh=max(GRID_OVERLAP, settings.box_nms_thresh),
    )


def means_of(predictor: object, settings: AutomaticSettings) -> Means:
    """Choose the means by which a model follows the settings.

    Raises
    ------
    ValueError
        If the model has no such means; the message gives a remedy.
    """
    proposer = proposer_for(predictor, settings)  # type: ignore[arg-type]  # a Predictor or a double
    calibration = PUBLISHED if proposer is None else proposer.calibration
    return Means(proposer is not None, calibration, loosened(settings, is_seeded=proposer is not None))


def look(
    view: ImageView,
    place: Place,
    means: Means,
    deliver: Callable[[Batch], None],
    on_progress: OnProgress,
) -> bool:
    """Find all objects in a place, and deliver them in batches; False if ``on_progress`` cancelled.

    ``view`` counts in the plane's pixels; items are delivered on the plane of ``place``.
    """
    proposer = view.predictor.proposer if means.is_seeded else None
    windows = region_windows(view, means.settings, place.window)
    objects: list[FoundObject] = []
    gatherer = _Gatherer(view, place, means)

    def report(done: int, total: int) -> None:
        batch = gatherer.take(objects)
        if batch is not None:
            deliver(batch)
        on_progress(done, total)

    try:
        for number, window in enumerate(windows):
            share = Share(report, number, len(windows))
            find_in_region(view, window, means.settings, proposer, share, objects, place.window)
            share.at(1)
    except Cancelled:
        batch = gatherer.take(objects)
        if batch is not None:
            deliver(batch)
        return False
    return True


class _Gatherer:
    """Measures the objects that a run found since the last batch."""

    def __init__(self, view: ImageView, place: Place, means: Means) -> None:
        self.view, self.place, self.means = view, place, means
        self.taken = 0
        self.earlier: list[FoundObject] = []
        self.boxes = np.zeros((0, 4), dtype=np.int64)

    def take(self, objects: Sequence[FoundObject]) -> Batch | None:
        """Take the objects found since the last call, with their overlaps; None if there are none."""
        new, self.taken = objects[self.taken :], len(objects)
        items, pairs, shared = [], [], []
        boxes = np.array([one.box for one in new], dtype=np.int64).reshape(-1, 4)
        for one, box in zip(new, boxes, strict=True):
            if not one.area:
                continue
            crop = one.crop
            if not self.place.holds(crop):
                continue
            if self.means.is_seeded:
                y0, x0, y1, x1 = box
                near = (self.boxes[:, 0] <= y1) & (self.boxes[:, 2] >= y0)
                near &= (self.boxes[:, 1] <= x1) & (self.boxes[:, 3] >= x0)
                for other in np.flatnonzero(near):
                    share = _share_of_smaller(crop, one.area, self.earlier[other])
                    if share > 0:
                        pairs.append((len(self.earlier), int(other)))
                        shared.append(share)
                self.boxes = np.concatenate([self.boxes, box[None]])
            self.earlier.append(one)
            window = one.region.window_yxhw
            key = self.view.encode(window).key
            placed = replace(one, region=replace(one.region, plane=self.place.plane))
            border = at_border(one, self.view.plane_hw)
            items.append(Item(placed, roundness(crop), border, key, self._detail_of(window)))
        if not items:
            return None
        return Batch(
            self.place.plane,
            self.view.plane_hw,
            tuple(items),
            np.array(pairs, dtype=np.intp).reshape(-1, 2),
            np.array(shared, dtype=np.float64),
        )

    def _detail_of(self, window: Window) -> Detail:
        """Model pixels per image pixel in a region; "whole" for the plane in one region."""
        if tuple(window) == (0, 0, *self.view.plane_hw):
            return "whole"
        return float(self.view.predictor.model.preparation.side / max(window[2:]))


def _share_of_smaller(crop: MaskCrop, area: int, other: FoundObject) -> float:
    shared = np.count_nonzero(crop.mask & other.crop.within(crop.region))
    return float(shared / min(area, other.area))


class PlaneFindings:
    """Objects found on one plane, and their filters, which decode nothing."""

    def __init__(self, plane: Plane, plane_hw: tuple[int, int], means: Means) -> None:
        self.plane, self.plane_hw, self.means = plane, plane_hw, means
        self.items: list[Item] = []
        self._columns: dict[str, NDArray[np.float64]] = {}
        self._boxes = np.zeros((0, 4), dtype=np.int64)
        self._order: NDArray[np.intp] = np.zeros(0, np.intp)
        self._overlaps: list[list[tuple[int, float]]] = []
        self._existing: tuple[object, list[float]] = (None, [])

    def extend(self, batch: Batch) -> None:
        """Add the objects of a batch."""
        self.items += batch.items
        self._overlaps += [[] for _ in batch.items]
        for (one, other), share in zip(batch.pairs.tolist(), batch.shared.tolist(), strict=True):
            self._overlaps[one].append((other, share))
            self._overlaps[other].append((one, share))
        self._columns = {}

    def kept(self, settings: AutomaticSettings, existing: Existing | None = None) -> list[int]:
        """Indices of the items that pass all filters, best first.

        The same as a run with these settings keeps, without those that overlap ``existing`` objects.
        """
        if not self.items:
            return []
        self._measure()
        passing = self._passing(settings)
        order = self._order[passing[self._order]]
        if self.means.is_seeded:
            apart = np.array(self._apart(order, settings.box_nms_thresh), dtype=np.intp)
            least = Thresholds.of(settings, self.means.calibration).iou
            ious, areas = (self._columns[name][apart] for name in ("iou", "area"))
            kept = apart[are_no_specks(ious, areas, least)].tolist()
        else:
            scores = self._columns["iou"][order]
            kept = [int(order[i]) for i in keep_by_boxes(self._boxes[order], scores, settings.box_nms_thresh)]
        if existing is None:
            return kept
        overlaps = self._overlaps_with(existing)
        return [i for i in kept if overlaps[i] <= settings.box_nms_thresh]

    @property
    def largest_across(self) -> float:
        """Pixels across the largest item, if it were a disc."""
        return 2 * math.sqrt(max((one.found.area for one in self.items), default=0) / math.pi)

    def shown(self, kept: Iterable[int]) -> dict[int, PackedCrop]:
        """Masks of kept items, numbered by their place among all, lowest first: smaller ones lie on top."""
        order = sorted(kept, key=lambda index: (-self.items[index].found.area, -index))
        return {index + 1: self.items[index].found.packed for index in order}

    def _measure(self) -> None:
        if self._columns:
            return
        found = [one.found for one in self.items]
        self._columns = {
            "iou": np.array([one.iou for one in found]),
            "stability": np.array([one.stability for one in found]),
            "area": np.array([one.area for one in found], dtype=np.float64),
            "roundness": np.array([one.roundness for one in self.items]),
            "at_border": np.array([one.at_border for one in self.items], dtype=np.float64),
        }
        self._boxes = np.array([one.box for one in found], dtype=np.int64).reshape(-1, 4)
        order = sorted(
            range(len(found)),
            key=lambda i: (-found[i].iou, found[i].box, found[i].point_yx, found[i].candidate),
        )
        self._order = np.array(order, dtype=np.intp)

    def _passing(self, settings: AutomaticSettings) -> NDArray[np.bool_]:
        least = Thresholds.of(settings, self.means.calibration)
        column = self._columns
        passing = column["area"] >= max(1, settings.min_area)
        if settings.max_area:
            passing &= column["area"] <= settings.max_area
        if least.iou > 0:
            passing &= column["iou"] > least.iou
        if least.stability > 0:
            passing &= column["stability"] >= np.float32(least.stability)
        if settings.min_roundness:
            passing &= column["roundness"] >= settings.min_roundness
        if not settings.keep_border:
            passing &= column["at_border"] == 0
        return np.asarray(passing)

    def _apart(self, order: NDArray[np.intp], threshold: float) -> list[int]:
        dropped: set[int] = set()
        kept = []
        for index in order.tolist():
            if index in dropped:
                continue
            kept.append(index)
            dropped.update(other for other, share in self._overlaps[index] if share > threshold)
        return kept

    def _overlaps_with(self, existing: Existing) -> list[float]:
        """Share of each item's overlap with existing objects; only new items are compared again."""
        if self._existing[0] is not existing:
            self._existing = existing, []
        shares = self._existing[1]
        new = (one.found for one in self.items[len(shares) :])
        shares += [existing.share(one.crop) if existing.may_meet(one.packed.region) else 0.0 for one in new]
        return shares


class Existing:
    """Existing objects of a plane, over other labels that are read only where a mask is compared.

    Compared by identity.
    """

    def __init__(
        self, plane_hw: tuple[int, int], objects: Sequence[Painted] = (), labels: LabelImage | None = None
    ) -> None:
        self._plane_hw, self._objects, self._labels = plane_hw, Composite(objects), labels

    def share(self, crop: MaskCrop) -> float:
        """Overlap of a mask with one object, or with all together, whichever is more, 0 to 1.

        With one object it is a share of the smaller of both, with all together a share of the mask.
        """
        if crop.empty:
            return 0.0
        region, inner = _grown(crop.region, self._plane_hw)
        around = self._read(region)
        present, counts = _counted(around[inner][crop.mask])
        if not len(present):
            return 0.0
        of_each = counts / np.minimum(self._areas(present, around, region, crop.area), crop.area)
        return float(max(of_each.max(), counts.sum() / crop.area))

    def may_meet(self, region: Region) -> bool:
        """False if nothing exists in a region, told without reading labels; otherwise True."""
        return self._labels is not None or bool(self._objects.meeting(region))

    def _areas(
        self, present: NDArray[np.int64], around: NDArray[np.int64], region: Region, least: int
    ) -> NDArray[np.int64]:
        """Pixels of the labels ``around`` a mask; one that goes on beyond has the ``least`` area or more."""
        labels, counts = _counted(around)
        areas = counts[np.searchsorted(labels, present)]
        (height, width), (rows, columns) = self._plane_hw, region
        edges = (
            (rows.start > 0, around[0]),
            (rows.stop < height, around[-1]),
            (columns.start > 0, around[:, 0]),
            (columns.stop < width, around[:, -1]),
        )
        beyond = [edge for goes_on, edge in edges if goes_on and edge.any()]
        if not beyond:
            return areas
        return np.where(np.isin(present, np.concatenate(beyond)), np.maximum(areas, least), areas)

    def _read(self, region: Region) -> NDArray[np.int64]:
        beneath = None if self._labels is None else self._labels[region]
        return self._objects.read(region, np.dtype(np.int64), beneath=beneath)


def _grown(region: Region, plane_hw: tuple[int, int]) -> tuple[Region, Region]:
    """Region with its own size added on each side within the plane, and the region's place in it."""
    grown, inner = [], []
    for extent, size in zip(region, plane_hw, strict=True):
        length = extent.stop - extent.start
        start, stop = max(extent.start - length, 0), min(extent.stop + length, size)
        grown.append(slice(start, stop))
        inner.append(slice(extent.start - start, extent.stop - start))
    return (grown[0], grown[1]), (inner[0], inner[1])


def _counted(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels but 0, ascending, and the number of their pixels."""
    values = values.ravel()
    # counting is quicker than sorting, unless most numbers are not there
    if values.size and values.min() >= 0 and values.max() <= 4 * values.size:
        counts = np.bincount(values)
        labels = np.flatnonzero(counts)
        counts = counts[labels]
    else:
        labels, counts = np.unique(values, return_counts=True)
    return labels[labels != 0], counts[labels != 0]


def existing_on(
    document: Document | None,
    plane: Plane,
    plane_hw: tuple[int, int],
    labels: LabelImage | None = None,
) -> Existing:
    """Objects of a document on a plane, painted over its label image if it has one."""
    view = None if document is None else document.on(plane)
    objects = () if view is None else [(one, view.objects[one].mask, OVERWRITE) for one in view.stack]
    fits = labels is not None and tuple(labels.shape) == tuple(plane_hw)
    return Existing(plane_hw, [one for one in objects if not one[1].empty], labels if fits else None)


@dataclass
class Findings:
    """All objects that a run found, by plane."""

    means: Means
    planes: dict[Plane, PlaneFindings] = field(default_factory=dict)
    is_complete: bool = True

    def extend(self, batch: Batch) -> None:
        """Add the objects of a batch."""
        if batch.plane not in self.planes:
            self.planes[batch.plane] = PlaneFindings(batch.plane, batch.plane_hw, self.means)
        self.planes[batch.plane].extend(batch)

    @property
    def count(self) -> int:
        """Number of objects found before filtering."""
        return sum(len(one.items) for one in self.planes.values())

    def hides_some(self, settings: AutomaticSettings) -> bool:
        """True if the settings ask for less certain objects than the run looked for."""
        least = self.means.settings
        return (
            settings.pred_iou_thresh < least.pred_iou_thresh
            or settings.stability_score_thresh < least.stability_score_thresh
        )


def accept(
    document: Document,
    chosen: Iterable[tuple[PlaneFindings, Sequence[int]]],
    first_number: int,
    made_by: Computation | None,
) -> Step:
    """Turn kept items into objects, numbered from ``first_number``, in one step."""
    pieces = list(_pieces(document, chosen, first_number, made_by))
    count = len(pieces)
    return edits.add(document, pieces, label=f"{count} automatic object{'' if count == 1 else 's'}")


def _pieces(
    document: Document,
    chosen: Iterable[tuple[PlaneFindings, Sequence[int]]],
    first_number: int,
    made_by: Computation | None,
) -> Iterator[Piece]:
    number = first_number
    for findings, kept in chosen:
        # a cleaned mask differs from the network's answer, so that replay could not repeat it
        repeatable = None if findings.means.settings.min_mask_region_area else made_by
        for index in kept:
            yield automatic_piece(
                document, number, findings.items[index], repeatable, by_grid=not findings.means.is_seeded
            )
            number += 1


def automatic_piece(
    document: Document, number: int, item: Item, made_by: Computation | None, *, by_grid: bool
) -> Piece:
    """A found object as a piece, with its prompt, from which corrections continue.

    A proposed region in the prompt stays the hint.
    """
    found, asked = item.found, item.found.prompts
    mask = found.crop
    drawn = tuple(drawn_point(point) for point in asked.points_yx)
    refined = EMPTY
    if asked.area is None:
        drawn += tuple(drawn_box(box) for box in asked.boxes_yx)
        pointed = Prompts(asked.points_yx, asked.labels, asked.boxes_yx)
    else:
        refined = MaskCrop(asked.area.origin_yx, asked.area.mask)
        pointed = Prompts(asked.points_yx, asked.labels)
    # a grid keeps any of a point's three masks; a seed keeps the one that a click would show
    choice: Choice = found.candidate if by_grid else "auto"  # type: ignore[assignment]  # 0 to 3
    # corrections are answered at the same detail
    settings = ObjectSettings(choice=choice, rule=document.defaults.rule, detail=item.detail)
    prompts = hinted(pointed, refined).attending(asked.within)
    answer = Answer(
        Request(prompts, item.key, item.detail),
        settings,
        mask,
        found.candidate,
        _scores(found),
        made_by=made_by if prompts == asked and not found.is_proposed else None,
    )
    return Piece(
        number,
        found.region.plane,
        pointed,
        prompts,
        drawn,
        settings,
        derived=mask,
        answer=answer,
        refined=refined,
        mask=mask,
        origin="automatic",
        reason="",
    )


def _scores(found: FoundObject) -> CandidateScores:
    """Scores of the kept mask, NaN for the other three."""
    iou, stability = [np.nan] * 4, [np.nan] * 4
    iou[found.candidate], stability[found.candidate] = found.iou, found.stability
    return CandidateScores(tuple(iou), tuple(stability))


def sureness(piece: Piece) -> float:
    """Predicted IoU of an automatic object's mask; infinite for other objects, and without a score."""
    scores, chosen = piece.scores, piece.chosen
    if piece.origin != "automatic" or scores is None or chosen is None:
        return np.inf
    return float(scores.iou[chosen])


class Review:
    """Walk through the automatic objects of a document, each once, the least certain first."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._seen: set[tuple[Plane, int]] = set()

    def following(self) -> Piece | None:
        """The least certain object that was not seen yet; None at the end."""
        return min(
            self._open(), key=lambda piece: (sureness(piece), piece.plane.sort_key, piece.id), default=None
        )

    @property
    def left(self) -> int:
        """Number of objects not seen yet."""
        return sum(1 for _ in self._open())

    def seen(self, piece: Piece) -> None:
        """Mark an object as seen, so that it does not come again."""
        self._seen.add(piece.key)

    def _open(self) -> Iterator[Piece]:
        for plane in self.document.planes:
            for piece in self.document.on(plane).objects.values():
                if piece.key not in self._seen and np.isfinite(sureness(piece)):
                    yield piece
