"""A simulated user: prompts for objects, and corrections of answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_samv1.engine.hint import SURE
from napari_samv1.training.scenes.scene import GROUP, OBJECT, PART
from napari_samv1.training.scenes.textures import smooth_noise

SMALLEST = 14
"""Least size of an object that gets prompts, in pixels of the model's input."""

ONE_LEVEL = (0.35, 0.3, 0.5, 0.2)
NESTED = (0.35, 1.0, 1.0, 0.6)
SEVERAL = (1.0, 0.1, 0.1, 0.1)
SAME = (0.4, 0.4, 0.4, 0.4)
"""Weights of the four masks: after a single prompt for an object without levels; after a click that may mean
a part or its whole (rare, and the only examples that separate the masks); after several prompts; after a
hint."""


@dataclass(frozen=True, eq=False)
class Round:
    """Prompts of P objects of one image, in the model's coordinates, and their targets.

    ``points_xy01`` P N 2, ``labels`` P N, ``boxes_xy01`` P M 2 2. ``wanted`` P 4 h w is the target coverage
    0..1 of each of the four masks, at four times the token grid; ``weights`` P 4 are the masks' weights.
    ``single`` is True for one click or one box alone.
    """

    points_xy01: Tensor
    labels: Tensor
    boxes_xy01: Tensor
    wanted: Tensor
    weights: Tensor
    single: bool


def deepest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Pixel of a mask that is not empty, farthest from its outline; the frame counts as outline."""
    (bounds,) = ndimage.find_objects(mask.view(np.uint8))
    part = mask[bounds]
    depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), part.shape)
    return int(row) + bounds[0].start, int(column) + bounds[1].start


def click_inside(
    rng: np.random.Generator, mask: NDArray[np.bool_], bounds: tuple[slice, slice]
) -> tuple[int, int]:
    """A click as users make it: often in the middle of the object, otherwise anywhere well inside."""
    part = np.pad(mask[bounds], 1)
    depth = ndimage.distance_transform_edt(part)[1:-1, 1:-1]
    floor = depth.max() * (0.9 if rng.random() < 0.5 else rng.uniform(0, 0.6))
    rows, columns = np.nonzero(depth >= max(floor, 0.5))
    pick = int(rng.integers(len(rows)))
    return int(rows[pick]) + bounds[0].start, int(columns[pick]) + bounds[1].start


def sloppy_box(
    rng: np.random.Generator, bounds: tuple[slice, slice], hw: tuple[int, int], slack: float
) -> list[float]:
    """The object's bounding box x0 y0 x1 y1 in 0..1, each side moved by up to ``slack`` of its length."""
    y0, y1 = bounds[0].start, bounds[0].stop
    x0, x1 = bounds[1].start, bounds[1].stop
    off = rng.uniform(-slack, slack, 4) if slack else np.zeros(4)
    tall, wide = y1 - y0, x1 - x0
    corners = [x0 + off[0] * wide, y0 + off[1] * tall, x1 + off[2] * wide, y1 + off[3] * tall]
    return [float(np.clip(c / size, 0, 1)) for c, size in zip(corners, (hw[1], hw[0]) * 2, strict=True)]


def first_round(
    rng: np.random.Generator,
    levels: NDArray[np.uint16],
    count: int,
    logits_hw: tuple[int, int],
    kind: str | None = None,
) -> Round | None:
    """Prompts for ``count`` objects of one crop, all of one kind; None if it has no objects.

    ``kind`` is "point", "box", or "several"; None draws one of them.
    """
    hw = (levels.shape[1], levels.shape[2])
    objects = _visible(levels)
    if not objects:
        return None
    if kind is None:
        kind = str(rng.choice(["point", "box", "several"], p=[0.5, 0.36, 0.14]))
    extra = int(rng.integers(1, 4)) if kind == "several" else 0
    with_box = kind == "box" or (kind == "several" and rng.random() < 0.3)
    slack = rng.choice([0.0, 0.05, 0.12])
    points, labels, boxes, wanted, weights = [], [], [], [], []
    order = rng.permutation(len(objects))
    for turn in range(count):
        level, label, bounds = objects[int(order[turn % len(order)])]
        mask = levels[level] == label
        if with_box:
            boxes.append(sloppy_box(rng, bounds, hw, slack))
        clicked = (0, 0)
        if kind != "box":
            clicked = click_inside(rng, mask, bounds)
            clicks, signs = [clicked], [1]
            for _ in range(extra):
                inside = rng.random() < 0.5
                spot = click_inside(rng, mask, bounds) if inside else _click_outside(rng, mask, bounds)
                clicks.append(spot)
                signs.append(int(mask[spot]))
            points.append([((x + 0.5) / hw[1], (y + 0.5) / hw[0]) for y, x in clicks])
            labels.append(signs)
        four = _four_masks(levels, mask, clicked) if kind == "point" else np.broadcast_to(mask, (4, *hw))
        wanted.append(four)
        has_levels = kind == "point" and bool((four[1] != four[3]).any())
        weights.append(SEVERAL if kind == "several" else NESTED if has_levels else ONE_LEVEL)
    coverage = torch.from_numpy(np.stack(wanted).astype(np.float32))
    return Round(
        points_xy01=torch.tensor(points, dtype=torch.float32).reshape(count, -1, 2),
        labels=torch.tensor(labels, dtype=torch.long).reshape(count, -1),
        boxes_xy01=torch.tensor(boxes, dtype=torch.float32).reshape(count, -1, 2, 2),
        wanted=functional.adaptive_avg_pool2d(coverage, logits_hw),
        weights=torch.tensor(weights),
        single=kind != "several",
    )


def where_only(asked: Round, radius: float = 0.06) -> Round:
    """The same prompts with plain targets instead of objects: a disc at a click, the inside of a box.

    ``radius`` is a fraction of the longer side. A decoder trained on these targets locates prompts, and has
    only objects left to learn.
    """
    height, width = asked.wanted.shape[-2:]
    longer = max(height, width)
    y = ((torch.arange(height) + 0.5) / height)[:, None]
    x = ((torch.arange(width) + 0.5) / width)[None]
    if asked.boxes_xy01.shape[1]:
        x0, y0, x1, y1 = asked.boxes_xy01[:, 0].flatten(1).T[..., None, None]
        inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    else:
        at_x, at_y = asked.points_xy01[:, 0].T[..., None, None]
        away = ((x - at_x) * width / longer) ** 2 + ((y - at_y) * height / longer) ** 2
        inside = away < radius**2
    return replace(asked, wanted=inside.float()[:, None].expand(-1, 4, -1, -1))


def correction(rng: np.random.Generator, before: Round, logits: Tensor, clicks: int, keep: slice) -> Round:
    """The next round: the same objects and prompts, with clicks where ``logits`` (P h w) are wrong.

    From here on the target is one mask: the one meant at first, ``wanted[:, 0]``.
    """
    same = refinement(before, 0, keep)
    wanted = same.wanted[:, 0]
    real, shown = (wanted > 0.5).numpy(), (logits > 0).numpy()
    height, width = real.shape[1:]
    points = torch.zeros(len(real), clicks, 2)
    labels = torch.zeros(len(real), clicks, dtype=torch.long)
    for i in range(len(real)):
        wrong = real[i] != shown[i]
        if wrong.any():
            place, sign = wrong, None
        else:  # an object thinner than a pixel may have no real pixel
            place, sign = real[i] if real[i].any() else wanted[i].numpy() > 0, 1
        for j in range(clicks):
            y, x = _in_the_worst(rng, place)
            points[i, j, 0], points[i, j, 1] = (x + 0.5) / width, (y + 0.5) / height
            labels[i, j] = int(real[i, y, x]) if sign is None else sign
    return replace(
        same,
        points_xy01=torch.cat([same.points_xy01, points], dim=1),
        labels=torch.cat([same.labels, labels], dim=1),
        weights=torch.tensor(SEVERAL).expand(len(real), -1),
    )


def refinement(before: Round, index: int, keep: slice) -> Round:
    """The same prompts, to be asked again with the answer's mask ``index`` as a hint."""
    wanted = before.wanted[keep, index]
    return Round(
        points_xy01=before.points_xy01[keep],
        labels=before.labels[keep],
        boxes_xy01=before.boxes_xy01[keep],
        wanted=wanted[:, None].expand(-1, 4, -1, -1),
        weights=torch.tensor(SAME).expand(len(wanted), -1),
        single=False,
    )


def from_rough(rng: np.random.Generator, before: Round, keep: slice) -> tuple[Round, Tensor]:
    """Round that asks for the same objects, and a rough mask of each as a hint, P 1 h w.

    The rough masks are like labels of another tool or drawn areas: too large or too small, with a ragged
    outline, or only an ellipse. Objects without a box get one around the rough mask. The hint's logits are
    those of `hint_logits`.
    """
    same = refinement(before, 0, keep)
    real = (same.wanted[:, 0] > 0.5).numpy()
    height, width = real.shape[1:]
    hints, boxes = [], []
    for one in real:
        rough = rough_mask(rng, one)
        hints.append(rough)
        y0, x0, y1, x1 = _extent(rough)
        boxes.append([x0 / width, y0 / height, x1 / width, y1 / height])
    hint = torch.from_numpy(np.stack(hints).astype(np.float32))[:, None]
    if not same.boxes_xy01.shape[1]:
        same = replace(same, boxes_xy01=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 1, 2, 2))
    return same, (2 * hint - 1) * SURE


def rough_mask(rng: np.random.Generator, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask too large or too small with a ragged outline, or an ellipse in its bounding box."""
    if not mask.any():
        return mask
    radius = float(np.sqrt(mask.sum() / np.pi))
    hw = (mask.shape[0], mask.shape[1])
    if rng.random() < 0.25:
        y0, x0, y1, x1 = _extent(mask)
        y, x = np.mgrid[: hw[0], : hw[1]] + 0.5
        tall, wide = (y1 - y0) / 2, (x1 - x0) / 2
        stretch = rng.uniform(0.8, 1.3)
        return np.asarray(
            ((y - y0 - tall) / tall) ** 2 + ((x - x0 - wide) / wide) ** 2 < stretch**2, np.bool_
        )
    depth = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    bent = smooth_noise(rng, hw, radius * rng.uniform(0.5, 2)) * rng.uniform(0, 0.3)
    rough = depth + radius * (rng.uniform(-0.3, 0.35) + bent) > 0
    return np.asarray(rough if (rough & mask).any() else mask, np.bool_)


def _extent(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """y0 x0 y1 x1 of a mask, the ends beyond it; of an empty one a pixel."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return 0, 0, 1, 1
    return int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1


def _visible(levels: NDArray[np.uint16]) -> list[tuple[int, int, tuple[slice, slice]]]:
    """Objects large enough, as (level, label, bounding box); whole objects three times over."""
    found = []
    for level, times in ((PART, 1), (OBJECT, 3), (GROUP, 1)):
        plane = levels[level]
        if not plane.any():
            continue
        area = np.bincount(plane.ravel())
        for label, bounds in enumerate(ndimage.find_objects(plane.astype(np.int32)), 1):
            if bounds is not None and area[label] >= SMALLEST:
                found.extend([(level, label, bounds)] * times)
    return found


def _four_masks(
    levels: NDArray[np.uint16], mask: NDArray[np.bool_], clicked: tuple[int, int]
) -> NDArray[np.bool_]:
    """Target masks of a click: the intended one, part, object, group; the nearest where one is absent."""
    here = [levels[level] == levels[level][clicked] if levels[level][clicked] else None for level in range(3)]
    part, whole, group = here
    middle = next(m for m in (whole, part, group, mask) if m is not None)
    fine = part if part is not None else middle
    coarse = group if group is not None else middle
    return np.stack([mask, fine, middle, coarse])


def _click_outside(
    rng: np.random.Generator, mask: NDArray[np.bool_], bounds: tuple[slice, slice]
) -> tuple[int, int]:
    """A pixel near the object but not in it, as far as one is found."""
    height, width = mask.shape
    tall = bounds[0].stop - bounds[0].start
    wide = bounds[1].stop - bounds[1].start
    spot = (0, 0)
    for _ in range(8):
        y = int(
            np.clip(
                rng.integers(bounds[0].start - tall // 2 - 3, bounds[0].stop + tall // 2 + 3), 0, height - 1
            )
        )
        x = int(
            np.clip(
                rng.integers(bounds[1].start - wide // 2 - 3, bounds[1].stop + wide // 2 + 3), 0, width - 1
            )
        )
        spot = (y, x)
        if not mask[spot]:
            break
    return spot


def _in_the_worst(rng: np.random.Generator, wrong: NDArray[np.bool_]) -> tuple[int, int]:
    """The middle of the widest error, or any wrong pixel."""
    if rng.random() < 0.4:
        rows, columns = np.nonzero(wrong)
        pick = int(rng.integers(len(rows)))
        return int(rows[pick]), int(columns[pick])
    return deepest(wrong)
