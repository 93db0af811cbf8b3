"""Everything in an image: ``segment_everything``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from napari_samv1.engine.automatic.by_region import find_in_region, joined, region_windows
from napari_samv1.engine.automatic.decoding import decode
from napari_samv1.engine.automatic.found import Found, FoundObject
from napari_samv1.engine.automatic.grid import (
    Window,
    best_across_crops,
    best_in_crop,
    crop_windows,
    grid_prompts,
    is_cut_off,
    points_in,
    three_above,
)
from napari_samv1.engine.automatic.progress import Progress, Share
from napari_samv1.engine.automatic.proposals import Proposer
from napari_samv1.engine.automatic.seeds import Thresholds, decode_seeds, distinct
from napari_samv1.engine.automatic.shapes import wanted_shapes
from napari_samv1.engine.automatic.small_regions import clean, without_small_regions
from napari_samv1.engine.embedding import Embedding, EmbeddingKey
from napari_samv1.engine.model_input import ModelInput, encode
from napari_samv1.engine.predictor import Predictor
from napari_samv1.engine.progress import Cancelled, OnProgress
from napari_samv1.engine.store import EmbeddingStore
from napari_samv1.engine.view import ImageView
from napari_samv1.images.intensity import Intensity, to_rgb8
from napari_samv1.images.prepare import prepare
from napari_samv1.records.automatic import AutomaticSettings, Mode
from napari_samv1.records.calibration import Calibration
from napari_samv1.records.detail import Detail
from napari_samv1.records.frame import Frame
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.preparation import Sizing


def segment_everything(
    predictor: Predictor,
    image: Any,
    mode: Mode = "auto",
    sizing: Sizing | None = None,
    detail: Detail = "auto",
    points_per_side: int = 32,
    points_per_batch: int = 64,
    pred_iou_thresh: float = 0.88,
    stability_score_thresh: float = 0.95,
    stability_score_offset: float = 1.0,
    box_nms_thresh: float = 0.7,
    crop_n_layers: int = 0,
    crop_nms_thresh: float = 0.7,
    crop_overlap_ratio: float = 512 / 1500,
    crop_n_points_downscale_factor: int = 1,
    min_mask_region_area: int = 0,
    min_area: int = 0,
    max_area: int = 0,
    min_roundness: float = 0.0,
    keep_border: bool = True,
    intensity: Intensity = None,
    cache: str | Path | EmbeddingStore | None = None,
    on_progress: OnProgress | None = None,
    plane: Plane | int | Sequence[int | None] | None = None,
) -> Found:
    """Find every object in an image.

    Parameters
    ----------
    predictor : Predictor
        Its ``proposer`` finds the seeds.
    image : array-like, list of array-likes, path or Source
        As for ``Predictor.on_image``. With ``sizing`` or crops its plane is read whole.
    mode, sizing, detail, ... : optional
        See ``AutomaticSettings``. ``mode="grid", sizing="padded"`` is the published generator.
    intensity : optional
        As for ``Predictor.on_image``: one mapping for the whole image.
    cache : folder or EmbeddingStore, optional
        Store of the regions' embeddings.
    on_progress : callable, optional
        Called as ``on_progress(done, total)``. If it raises ``Cancelled``, the objects found so far are
        returned, with ``complete=False``.
    plane : Plane, int or tuple, optional
        Plane of a stack, as for ``Predictor.on_image``.

    Raises
    ------
    ValueError
        If a setting or the image cannot be used; the message names the remedy.
    """
    settings = AutomaticSettings(
        mode=mode,
        sizing=sizing,
        detail=detail,
        points_per_side=points_per_side,
        points_per_batch=points_per_batch,
        pred_iou_thresh=pred_iou_thresh,
        stability_score_thresh=stability_score_thresh,
        stability_score_offset=stability_score_offset,
        box_nms_thresh=box_nms_thresh,
        crop_n_layers=crop_n_layers,
        crop_nms_thresh=crop_nms_thresh,
        crop_overlap_ratio=crop_overlap_ratio,
        crop_n_points_downscale_factor=crop_n_points_downscale_factor,
        min_mask_region_area=min_mask_region_area,
        min_area=min_area,
        max_area=max_area,
        min_roundness=min_roundness,
        keep_border=keep_border,
    )
    return run(
        predictor, image, settings, intensity=intensity, cache=cache, plane=plane, on_progress=on_progress
    )


def run(
    predictor: Predictor,
    image: Any,
    settings: AutomaticSettings,
    *,
    intensity: Intensity = None,
    cache: Any = None,
    plane: Any = None,
    on_progress: OnProgress | None = None,
) -> Found:
    """``segment_everything`` with its settings as one record; ``plane`` is as in ``Predictor.on_image``."""
    proposer = proposer_for(predictor, settings)
    view = predictor.on_image(image, intensity=intensity, cache=cache, plane=plane)
    if settings.is_arranged:
        pixels = view.pixels.source.read(Region(view.plane, (0, 0, *view.plane_hw)), view.plane_hw)
        return in_whole_image(predictor, pixels, settings, proposer, intensity, on_progress)
    return in_regions(view, settings, proposer, on_progress)


def in_regions(
    view: ImageView,
    settings: AutomaticSettings,
    proposer: Proposer | None,
    on_progress: OnProgress | None,
) -> Found:
    """Find objects region by region, each encoded at the detail; no array has the image's size."""
    windows = region_windows(view, settings)
    objects: list[FoundObject] = []
    complete = True
    try:
        for place, window in enumerate(windows):
            share = Share(on_progress, place, len(windows))
            find_in_region(view, window, settings, proposer, share, objects)
            share.at(1)
    except Cancelled:
        complete = False
    calibration = None if proposer is None else proposer.calibration
    kept = joined(objects, settings, view.plane_hw, calibration=calibration)
    return Found(tuple(kept), view.plane_hw, settings, "grid" if proposer is None else "seeds", complete)


def proposer_for(predictor: Predictor, settings: AutomaticSettings) -> Proposer | None:
    """Return the proposer of seeds; None for a grid of points.

    Raises
    ------
    ValueError
        If ``mode`` is "seeds" and the model has no head, or a grid is needed and the model takes no points.
    """
    proposer = predictor.proposer
    if settings.mode == "seeds" and proposer is None:
        raise ValueError(
            f'{predictor.model.name} has no head that proposes objects: take mode="grid", or a model with one'
        )
    if settings.mode != "grid" and proposer is not None:
        return proposer
    if predictor.model.preparation.box_only:
        raise ValueError(
            f"{predictor.model.name} was trained on boxes alone and answers no grid of points: take another "
            f"model"
        )
    return None


def in_whole_image(
    predictor: Predictor,
    image: Any,
    settings: AutomaticSettings,
    proposer: Proposer | None,
    intensity: Intensity,
    on_progress: OnProgress | None,
) -> Found:
    """Find objects in the whole image, then in its crops, each encoded by itself at the same intensities."""
    rgb8 = to_rgb8(image, intensity)
    image_hw: tuple[int, int] = rgb8.shape[:2]
    windows = crop_windows(image_hw, settings)
    per_side = [points_in(layer, settings) for _, layer in windows]
    progress = Progress(on_progress, 0 if proposer else sum(n * n for n in per_side))
    objects: list[FoundObject] = []
    complete = True
    for (window, _), points in zip(windows, per_side, strict=True):
        here: list[FoundObject] = []
        try:
            progress.tell()
            embedding = embed_window(predictor, rgb8, window, settings.sizing, progress)
            if proposer is not None:
                proposals = proposer(embedding)
                progress.expect(len(proposals))
                decode_seeds(
                    predictor,
                    embedding,
                    proposals,
                    Thresholds.of(settings, proposer.calibration),
                    proposer.calibration,
                    settings,
                    progress.decoded,
                    plane=Plane(),
                    into=here,
                )
            else:
                decode(
                    predictor,
                    embedding,
                    grid_prompts(embedding.frame, points),
                    three_above(settings.pred_iou_thresh),
                    settings,
                    progress.decoded,
                    stability_thresh=settings.stability_score_thresh,
                    plane=Plane(),
                    into=here,
                )
        except Cancelled:
            complete = False
        progress.part_is_done()
        here = [one for one in here if not is_cut_off(one, window, image_hw)]
        here = wanted_shapes(here, settings, image_hw)
        objects += here if proposer is not None else best_in_crop(here, settings)
        if not complete:
            break
    calibration = None if proposer is None else proposer.calibration
    objects = finished(objects, settings, image_hw, calibration=calibration, crops=len(windows))
    mode = "grid" if proposer is None else "seeds"
    return Found(tuple(objects), image_hw, settings, mode, complete)


def finished(
    objects: list[FoundObject],
    settings: AutomaticSettings,
    image_hw: tuple[int, int],
    *,
    calibration: Calibration | None,
    crops: int,
) -> list[FoundObject]:
    """Drop duplicates between crops, and clean small regions; ``calibration`` is the proposer's, if any."""
    if calibration is not None:
        if settings.min_mask_region_area:
            objects = [clean(one, settings.min_mask_region_area, image_hw) for one in objects]
        return distinct(objects, settings, calibration)
    if crops > 1:
        objects = best_across_crops(objects, settings)
    if settings.min_mask_region_area:
        objects = without_small_regions(objects, settings, image_hw)
    return objects


def embed_window(
    predictor: Predictor,
    rgb8: NDArray[np.uint8],
    window: Window,
    sizing: Sizing | None,
    progress: Progress,
) -> Embedding:
    """Encode a window as an image by itself; its frame is in the pixels of the whole image."""
    model = predictor.model
    preparation = model.preparation
    frame = Frame.plan(
        rgb8.shape[:2],
        side=preparation.side,
        patch=model.config.patch,
        sizing=preparation.sizing if sizing is None else sizing,
        window_yxhw=window,
    )
    pixels_bchw = prepare(rgb8, frame, preparation, device=model.device)
    key = EmbeddingKey(
        pixels=xxhash.xxh3_128_hexdigest(pixels_bchw.numpy().data),
        weights=model.sha256,
        preparation=preparation,
        frame=frame,
        intensity=None,
        gamma=1.0,
        dtype=str(model.dtype).removeprefix("torch."),
        device=model.device.type,
    )
    prepared = ModelInput(pixels_bchw.to(model.device), frame, key)
    embedding = encode(model, prepared, on_progress=lambda *_: progress.tell())
    return replace(embedding, pixels_bchw=prepared.pixels_bchw)
