"""One plane of an image as a model sees it: its limits found once, its regions prepared one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray

from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.engine.model_input import ModelInput
from napari_samv1.images.displayed import displayed
from napari_samv1.images.intensity import Intensity
from napari_samv1.images.limits import plane_display, plane_sample, plane_stretch
from napari_samv1.images.prepare import arranged, resized_window, stretch_limits
from napari_samv1.images.source import MOST_PIXELS, Source
from napari_samv1.records.display import Display
from napari_samv1.records.frame import Frame
from napari_samv1.records.place import Plane, Region
from napari_samv1.records.requests import EncodingRequest, ModelIdentity, Rounding


@dataclass(frozen=True, eq=False)
class PreparedRegion:
    """Input of the network for a request, and the key of its embedding; pixels 1 3 H W on the CPU."""

    request: EncodingRequest
    frame: Frame
    key: EmbeddingKey
    pixels_bchw: torch.Tensor = field(repr=False)

    def on(self, device: torch.device) -> ModelInput:
        """The input of the encoder."""
        return ModelInput(self.pixels_bchw.to(device), self.frame, self.key)


class PlanePixels:
    """A plane for a model, displayed by an intensity and a gamma; nothing is read before it is needed.

    Regions share limits that are found once, in a sample of the plane. The whole plane in one region has
    limits found as in ``Predictor.embed``: where it is in memory or not large, both embeddings are equal bit
    for bit. ``limits`` are the 8-bit values between which regions are stretched, if found before. ``display``
    returns the numbers of the display where intensity and gamma do not suffice, as for several channels.
    """

    def __init__(
        self,
        model: LoadedModel,
        source: Source,
        plane: Plane,
        plane_hw: tuple[int, int],
        *,
        intensity: Intensity = None,
        gamma: float = 1.0,
        rounding: Rounding = "float32",
        limits: tuple[float, float] | None = None,
        display: Callable[[], Display] | None = None,
    ) -> None:
        self.model = model
        self.source = source
        self.plane = plane
        self.plane_hw = plane_hw
        self.intensity = intensity
        self.gamma = gamma
        self.rounding = rounding
        self._limits = limits
        self._make_display = display
        self._lock = RLock()
        self._latest: PreparedRegion | None = None

    def request(self, window_yxhw: tuple[int, int, int, int]) -> EncodingRequest:
        """Request for a window; for the whole plane, this reads its pixels to find the limits."""
        if self._is_whole(window_yxhw):
            return self.prepared(window_yxhw).request
        with self._lock:
            return self._request(window_yxhw, self.display, self.stretch)

    def prepared(self, window_yxhw: tuple[int, int, int, int]) -> PreparedRegion:
        """Read and prepare a window; the whole plane, and the same window again, only once.

        Raises
        ------
        ReadError
            If the pixels cannot be read.
        """
        if self._is_whole(window_yxhw):
            with self._lock:
                return self._whole
        request = self.request(window_yxhw)
        latest = self._latest
        if latest is not None and latest.request == request:
            return latest
        frame = self.frame(window_yxhw)
        resized = self._resized(request.region, frame, request.display)
        prepared = self._arranged(request, frame, resized, self._limits_of(request.display), request.limits)
        self._latest = prepared
        return prepared

    @cached_property
    def _whole(self) -> PreparedRegion:
        window = (0, 0, *self.plane_hw)
        frame, region = self.frame(window), Region(self.plane, window)
        if self._is_read_wholly:
            pixels = self.source.read(region, self.plane_hw)
            if self._make_display is None:
                display, intensity = plane_display([pixels], self.intensity, self.gamma), self.intensity
            else:
                display, intensity = self.display, self._limits_of(self.display)
            resized = self._at_models_size(displayed(pixels, display), frame)
        else:
            display = self.display
            resized = self._resized(region, frame, display)
            intensity = self._limits_of(display)
        request = self._request(window, display, stretch_limits(resized, self.model.preparation))
        return self._arranged(request, frame, resized, intensity, None)

    def _arranged(
        self,
        request: EncodingRequest,
        frame: Frame,
        resized: NDArray[np.uint8],
        intensity: Intensity,
        limits: tuple[float, float] | None,
    ) -> PreparedRegion:
        preparation, display = self.model.preparation, request.display
        pixels_bchw = arranged(resized, frame, preparation, request.limits)
        key = EmbeddingKey(
            pixels=xxhash.xxh3_128_hexdigest(pixels_bchw.numpy().data),
            weights=self.model.sha256,
            preparation=preparation,
            frame=frame,
            intensity=intensity,
            gamma=display.channels[0].gamma if display.is_single else 1.0,
            dtype=request.model.dtype,
            device=self.model.device.type,
            limits=limits,
            display=None if display.is_single else display,
        )
        return PreparedRegion(request, frame, key, pixels_bchw)

    @staticmethod
    def _limits_of(display: Display) -> tuple[float, float] | None:
        return (display.channels[0].low, display.channels[0].high) if display.is_single else None

    def frame(self, window_yxhw: tuple[int, int, int, int]) -> Frame:
        """The frame of a window."""
        preparation = self.model.preparation
        return Frame.plan(
            self.plane_hw,
            side=preparation.side,
            patch=self.model.config.patch,
            sizing=preparation.sizing,
            window_yxhw=window_yxhw,
        )

    @cached_property
    def display(self) -> Display:
        """Numbers by which all regions of the plane are displayed."""
        if self._make_display is not None:
            return self._make_display()
        return plane_display(self._sample, self.intensity, self.gamma)

    @cached_property
    def stretch(self) -> tuple[float, float] | None:
        """8-bit values between which the model's preparation stretches all regions; None if it does not."""
        if not self.model.preparation.minmax:
            return None
        if self._limits is not None:
            return self._limits
        return plane_stretch(self._sample, self.display, self.model.preparation)

    @cached_property
    def _sample(self) -> list[NDArray[Any]]:
        dtype = np.dtype(self.source.identity.dtype)
        by_type = self.intensity == "dtype" or (self.intensity is None and dtype in (np.uint8, np.bool_))
        is_fixed = (
            self._make_display is not None
            or by_type
            or (isinstance(self.intensity, tuple | list) and len(self.intensity) == 2)
        )
        if is_fixed and not self.model.preparation.minmax:
            # the display's numbers are fixed, so that the sample's dtype alone matters
            return [np.zeros((1, 1), dtype)]
        return plane_sample(self.source, self.plane)

    @property
    def _is_read_wholly(self) -> bool:
        return self.source.in_memory or self.plane_hw[0] * self.plane_hw[1] <= MOST_PIXELS

    def _is_whole(self, window_yxhw: tuple[int, int, int, int]) -> bool:
        return tuple(window_yxhw) == (0, 0, *self.plane_hw)

    def _resized(self, region: Region, frame: Frame, display: Display) -> NDArray[np.uint8]:
        """The region's pixels at the model's size: reduced while reading, enlarged by the model's rule."""
        height, width = region.window_yxhw[2:]
        hw = min(frame.resized_hw[0], height), min(frame.resized_hw[1], width)
        rgb8 = displayed(self.source.read(region, hw), display)
        return rgb8 if hw == frame.resized_hw else self._at_models_size(rgb8, frame)

    def _at_models_size(self, rgb8: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
        return resized_window(rgb8, frame, self.model.preparation, self.model.device)

    def _request(
        self,
        window_yxhw: tuple[int, int, int, int],
        display: Display,
        limits: tuple[float, float] | None,
    ) -> EncodingRequest:
        model = self.model
        return EncodingRequest(
            source=self.source.identity,
            region=Region(self.plane, window_yxhw),
            display=display,
            limits=limits,
            model=ModelIdentity(model.sha256, model.preparation, str(model.dtype).removeprefix("torch.")),
            rounding=self.rounding,
        )
