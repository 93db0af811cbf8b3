"""Settings of an automatic run: the same record in scripts, in TOML, on the command line and in a panel."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from napari_samv1.records.detail import Detail
from napari_samv1.records.preparation import Sizing

Mode = Literal["auto", "seeds", "grid"]


@dataclass(frozen=True)
class AutomaticSettings:
    """Settings of an automatic run; the names and defaults are the published generator's.

    ``mode`` is "grid" (points on a grid), "seeds" (a point for each object that a dense head proposes) or
    "auto" (seeds where the model has such a head). ``detail`` is model pixels per image pixel, "whole" (the
    image in one region) or "auto". ``sizing`` arranges the whole image for the model: "padded" is the
    published way.

    The model is asked at ``points_per_side`` points along each side of a region, ``points_per_batch`` at once
    at most. Masks are kept if their predicted IoU is above ``pred_iou_thresh`` and their stability at least
    ``stability_score_thresh``, measured by moving the threshold by ``stability_score_offset``; 0 keeps all.
    Of two masks that overlap by more than ``box_nms_thresh`` the better one is kept: by the IoU of their
    boxes in grid mode, by the share of the smaller mask in seeds mode. ``crop_n_layers`` more runs ask in
    crops of the image: layer k has (2**k)**2 crops, which overlap by ``crop_overlap_ratio``, with
    1 / ``crop_n_points_downscale_factor``**k as many points a side; ``crop_nms_thresh`` applies between
    crops. Holes and islands of fewer pixels than ``min_mask_region_area`` are removed.

    In every mode, objects of fewer than ``min_area`` or more than ``max_area`` pixels (0: any size) are
    dropped, and objects less round than ``min_roundness`` (1 is a disc); without ``keep_border`` also objects
    that touch the image's border.

    Raises
    ------
    ValueError
        If a value is outside its range; the message says which.
    """

    mode: Mode = "auto"
    sizing: Sizing | None = None
    detail: Detail = "auto"
    points_per_side: int = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    min_mask_region_area: int = 0
    min_area: int = 0
    max_area: int = 0
    min_roundness: float = 0.0
    keep_border: bool = True

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, got {self.mode!r}")
        if self.sizing is not None and self.sizing not in get_args(Sizing):
            raise ValueError(
                f"sizing must be one of {', '.join(get_args(Sizing))} or None, got {self.sizing!r}"
            )
        if self.detail not in ("auto", "whole") and not (
            _is_number(self.detail) and 0 < float(self.detail) < math.inf
        ):
            raise ValueError(
                f'detail must be model pixels per image pixel, "auto" or "whole", got {self.detail!r}'
            )
        least = {
            "points_per_side": 1,
            "points_per_batch": 1,
            "crop_n_layers": 0,
            "crop_n_points_downscale_factor": 1,
            "min_mask_region_area": 0,
            "min_area": 0,
            "max_area": 0,
        }
        if not isinstance(self.keep_border, bool):
            raise ValueError(f"keep_border must be true or false, got {self.keep_border!r}")
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if field.name in least:
                is_whole = _is_number(value) and math.isfinite(value) and int(value) == value
                if not is_whole or value < least[field.name]:
                    raise ValueError(
                        f"{field.name} must be a whole number of {least[field.name]} or more, got {value!r}"
                    )
                object.__setattr__(self, field.name, int(value))
            elif field.name not in ("mode", "sizing", "detail", "keep_border"):
                if not _is_number(value) or not math.isfinite(value):
                    raise ValueError(f"{field.name} must be a finite number, got {value!r}")
                object.__setattr__(self, field.name, float(value))
        if self.stability_score_offset < 0:
            raise ValueError(f"stability_score_offset must be 0 or more, got {self.stability_score_offset}")
        if not 0 <= self.crop_overlap_ratio < 1:
            raise ValueError(f"crop_overlap_ratio must be 0 or more, below 1, got {self.crop_overlap_ratio}")
        if self.max_area and self.max_area < self.min_area:
            raise ValueError(
                f"max_area must be 0 (any size) or at least min_area, {self.min_area}, got {self.max_area}"
            )
        if not 0 <= self.min_roundness <= 1:
            raise ValueError(f"min_roundness must be in 0..1, got {self.min_roundness}")
        if self.crop_n_layers and self.detail not in ("auto", "whole"):
            raise ValueError(
                f"crop_n_layers divides the whole image by itself: leave detail at its default, got "
                f"{self.detail}"
            )
        if self.sizing is not None and self.detail not in ("auto", "whole"):
            raise ValueError(
                f"sizing arranges the whole image: leave detail at its default, got {self.detail}"
            )

    @property
    def asks_for_shapes(self) -> bool:
        """True if objects are dropped by their size, roundness or place."""
        return bool(self.min_area or self.max_area or self.min_roundness or not self.keep_border)

    @property
    def is_arranged(self) -> bool:
        """True if the image is taken whole, as ``sizing`` arranges it, and then its crops."""
        return self.sizing is not None or self.crop_n_layers > 0


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool | str)
