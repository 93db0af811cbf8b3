"""Everything on planes of an image: what was found, filtered without decoding again, and made objects."""

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
from napari_samv1.engine.progress import Cancelled, OnProgress
from napari_samv1.engine.view import ImageView
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.computation import Computation
from napari_samv1.records.drawn import drawn_box, drawn_point
from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import Choice, ObjectSettings

Window = tuple[int, int, int, int]
"""First row, first column, height, width."""

GRID_MARGIN = 0.3
"""Margin below the asked scores within which a grid's masks are kept, so that a slider finds more of them."""

GRID_OVERLAP = 0.9
"""Overlap of boxes from which on a grid's masks are the same one, whatever is asked for."""

MOST_INSIDE = 0.5
"""Share of an object's pixels that must lie in the area that is looked at."""


COUNTED_TO = 1 << 20
"""Largest label up to which labels are counted as they are; others are numbered anew first."""


@dataclass(frozen=True, eq=False)
class Place:
    """Part of a plane to look at: all of it, a drawn ``area``, or all but the area if it is ``left_out``.

    ``window`` bounds the seeds: what is on the screen, or the area's box.
    """

    plane: Plane
    window: Window | None = None
    area: MaskCrop | None = None
    left_out: bool = False

    def holds(self, crop: MaskCrop) -> bool:
        """True if most of a mask lies in the part that is looked at."""
        if self.area is None:
            return True
        shared = np.count_nonzero(crop.mask & self.area.within(crop.region)) / max(1, crop.area)
        return bool(shared <= MOST_INSIDE if self.left_out else shared > MOST_INSIDE)


@dataclass(frozen=True, eq=False)
class Item:
    """A found object with what it is filtered by, and the key of the encoding that it was decoded on."""

    found: FoundObject
    roundness: float
    at_border: bool
    key: Hashable


@dataclass(frozen=True, eq=False)
class Batch:
    """Objects found one after another on a plane.

    ``shares`` (K, 2) are places of items that overlap, the later first, and ``shared`` (K,) by how much, as
    a share of the smaller one; items are counted from the plane's first on.
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
    """Settings that keep what filters may ask for later; of a grid only what is not far below.

    A grid's masks are many, and most of them nothing.
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
    """Make the means by which a model follows some settings.

    Raises
    ------
    ValueError
        If the model cannot; the message says what can.
    """
    proposer = proposer_for(predictor, settings)  # type: ignore[arg-type]  # a Predictor, or what acts as one
    calibration = PUBLISHED if proposer is None else proposer.calibration
    return Means(proposer is not None, calibration, loosened(settings, is_seeded=proposer is not None))


def look(
    view: ImageView,
    place: Place,
    means: Means,
    deliver: Callable[[Batch], None],
    on_progress: OnProgress,
) -> bool:
    """Find everything in a place, and deliver it as it comes; False where ``on_progress`` cancelled.

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
    """Measures what a run found since it was last looked at."""

    def __init__(self, view: ImageView, place: Place, means: Means) -> None:
        self.view, self.place, self.means = view, place, means
        self.taken = 0
        self.known: list[FoundObject] = []
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
                known = self.boxes
                near = (known[:, 0] <= y1) & (known[:, 2] >= y0) & (known[:, 1] <= x1) & (known[:, 3] >= x0)
                for other in np.flatnonzero(near):
                    share = _share_of_smaller(crop, one.area, self.known[other])
                    if share > 0:
                        pairs.append((len(self.known), int(other)))
                        shared.append(share)
                self.boxes = np.concatenate([self.boxes, box[None]])
            self.known.append(one)
            key = self.view.encode(one.region.window_yxhw).key
            placed = replace(one, region=replace(one.region, plane=self.place.plane))
            items.append(Item(placed, roundness(crop), at_border(one, self.view.plane_hw), key))
        if not items:
            return None
        return Batch(
            self.place.plane,
            self.view.plane_hw,
            tuple(items),
            np.array(pairs, dtype=np.intp).reshape(-1, 2),
            np.array(shared, dtype=np.float64),
        )


def _share_of_smaller(crop: MaskCrop, area: int, other: FoundObject) -> float:
    shared = np.count_nonzero(crop.mask & other.crop.within(crop.region))
    return float(shared / min(area, other.area))


class PlaneFindings:
    """Objects found on one plane, and those that the filters keep; filtering decodes nothing."""

    def __init__(self, plane: Plane, plane_hw: tuple[int, int], means: Means) -> None:
        self.plane, self.plane_hw, self.means = plane, plane_hw, means
        self.items: list[Item] = []
        self._columns: dict[str, NDArray[np.float64]] = {}
        self._boxes = np.zeros((0, 4), dtype=np.int64)
        self._order: NDArray[np.intp] = np.zeros(0, np.intp)
        self._overlaps: list[list[tuple[int, float]]] = []
        self._existing: tuple[object, NDArray[np.float64]] = (None, np.zeros(0))

    def extend(self, batch: Batch) -> None:
        """Take what came."""
        self.items += batch.items
        self._overlaps += [[] for _ in batch.items]
        for (one, other), share in zip(batch.pairs.tolist(), batch.shared.tolist(), strict=True):
            self._overlaps[one].append((other, share))
            self._overlaps[other].append((one, share))
        self._columns = {}
        self._existing = (None, np.zeros(0))

    def kept(self, settings: AutomaticSettings, existing: Existing | None = None) -> list[int]:
        """Places of the items that pass all filters, the best first.

        As a run with these settings keeps them; and of these what is new beside ``existing``.
        """
        if not self.items:
            return []
        self._measure()
        passing = self._passing(settings)
        order = self._order[passing[self._order]]
        if self.means.is_seeded:
            kept = self._apart(order, settings.box_nms_thresh)
        else:
            scores = self._columns["iou"][order]
            kept = [int(order[i]) for i in keep_by_boxes(self._boxes[order], scores, settings.box_nms_thresh)]
        if existing is None:
            return kept
        known = self._known(existing)
        return [i for i in kept if known[i] <= settings.box_nms_thresh]

    @property
    def largest_across(self) -> float:
        """Pixels across the largest item, if it were a disc."""
        return 2 * math.sqrt(max((one.found.area for one in self.items), default=0) / math.pi)

    def labels(self, kept: Sequence[int], dtype: type[np.unsignedinteger] = np.uint16) -> NDArray[np.integer]:
        """Label image (H, W) of kept items, 1, 2, ... in their order; the smaller one is on top."""
        shown = np.zeros(self.plane_hw, dtype=dtype)
        area = self._columns["area"] if self._columns else np.zeros(0)
        for number in sorted(range(len(kept)), key=lambda n: (-area[kept[n]], -n)):
            crop = self.items[kept[number]].found.crop
            # numbers that do not fit begin anew: it is a picture
            shown[crop.region][crop.mask] = number % np.iinfo(dtype).max + 1
        return shown

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

    def _known(self, existing: Existing) -> NDArray[np.float64]:
        """By how much each item is an object that was there before."""
        if self._existing[0] is not existing:
            self._existing = existing, np.array([existing.share(one.found.crop) for one in self.items])
        return self._existing[1]


class Existing:
    """The objects that a plane has already, as a label image (H, W); compared as an object, not by value."""

    def __init__(self, labels: NDArray[np.integer]) -> None:
        self.labels = labels
        self.areas = np.bincount(labels.ravel())

    def share(self, crop: MaskCrop) -> float:
        """By how much a mask overlaps the one that it overlaps most, or all of them together, 0 to 1.

        As a share of the smaller one of both.
        """
        if crop.empty:
            return 0.0
        counts = np.bincount(self.labels[crop.region][crop.mask], minlength=1)
        counts[0] = 0
        present = np.flatnonzero(counts)
        if not len(present):
            return 0.0
        of_each = counts[present] / np.minimum(self.areas[present], crop.area)
        return float(max(of_each.max(), counts.sum() / crop.area))


def existing_on(
    document: Document | None,
    plane: Plane,
    plane_hw: tuple[int, int],
    labels: NDArray[np.integer] | None = None,
) -> Existing:
    """The objects of a document on a plane, beside what its label image shows already, if it has one."""
    if labels is not None and labels.shape == plane_hw:
        shown = np.array(labels, dtype=np.int64)
    else:
        shown = np.zeros(plane_hw, dtype=np.int64)
    view = None if document is None else document.on(plane)
    for object_id in () if view is None else view.stack:
        crop = view.objects[object_id].mask if view is not None else EMPTY
        if not crop.empty:
            shown[crop.region][crop.mask] = object_id
    if shown.max(initial=0) <= COUNTED_TO and shown.min(initial=0) >= 0:
        return Existing(shown)
    inverse = np.unique(shown, return_inverse=True)[1].reshape(shown.shape)
    return Existing(np.where(shown == 0, 0, inverse + 1))


@dataclass
class Findings:
    """All that a run found, by plane."""

    means: Means
    planes: dict[Plane, PlaneFindings] = field(default_factory=dict)
    is_complete: bool = True

    def extend(self, batch: Batch) -> None:
        """Take what came."""
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
    """Make objects of kept items, numbered on from ``first_number``, in one step."""
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
        # cleaned masks are no longer what the network answers
        repeatable = None if findings.means.settings.min_mask_region_area else made_by
        for index in kept:
            yield automatic_piece(
                document, number, findings.items[index], repeatable, by_grid=not findings.means.is_seeded
            )
            number += 1


def automatic_piece(
    document: Document, number: int, item: Item, made_by: Computation | None, *, by_grid: bool
) -> Piece:
    """A found object as a piece: with the prompt that asked for it, which corrections go on from.

    Where a proposed region was asked with the point, that region stays the hint.
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
    # a grid keeps any of the three masks of a point; a seed's is the one that a click shows
    choice: Choice = found.candidate if by_grid else "auto"  # type: ignore[assignment]  # 0 to 3
    settings = ObjectSettings(choice=choice, rule=document.defaults.rule)
    prompts = hinted(pointed, refined)
    answer = Answer(
        Request(prompts, item.key),
        settings,
        mask,
        found.candidate,
        _scores(found),
        made_by=made_by if prompts == asked else None,
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
    """The scores of the mask that was kept; those of the other three are not known."""
    iou, stability = [np.nan] * 4, [np.nan] * 4
    iou[found.candidate], stability[found.candidate] = found.iou, found.stability
    return CandidateScores(tuple(iou), tuple(stability))


def sureness(piece: Piece) -> float:
    """The predicted IoU of an automatic object's mask; infinite for others, and for what has none."""
    scores, chosen = piece.scores, piece.chosen
    if piece.origin != "automatic" or scores is None or chosen is None:
        return np.inf
    return float(scores.iou[chosen])


class Review:
    """A walk through the automatic objects of a document, the least sure first; each comes once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._seen: set[tuple[Plane, int]] = set()

    def following(self) -> Piece | None:
        """The least sure object that was not looked at yet; None at the end."""
        return min(
            self._open(), key=lambda piece: (sureness(piece), piece.plane.sort_key, piece.id), default=None
        )

    @property
    def left(self) -> int:
        """Number of objects still to be looked at."""
        return sum(1 for _ in self._open())

    def seen(self, piece: Piece) -> None:
        """An object was looked at: it does not come again."""
        self._seen.add(piece.key)

    def _open(self) -> Iterator[Piece]:
        for plane in self.document.planes:
            for piece in self.document.on(plane).objects.values():
                if piece.key not in self._seen and np.isfinite(sureness(piece)):
                    yield piece
