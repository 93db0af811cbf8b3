"""The input of a view: a model, an image plane, prompts; gathered on the main thread, used in a worker."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from napari_samv1.app.worker import Ticket

if TYPE_CHECKING:
    import numpy as np
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.predictor import Predictor
    from napari_samv1.images.seen import SeenPixels
    from napari_samv1.inspection import ModelInput
    from napari_samv1.layers.image import DisplayedPlane
    from napari_samv1.layers.inspection import Picture
    from napari_samv1.records.mask_crop import MaskCrop
    from napari_samv1.records.prompts import Prompts
    from napari_samv1.widgets.inspect.plot import PlotData

KEPT = 6
Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Seen:
    """The answer of a view: a sentence, pictures by the name of their place, and plots."""

    sentence: str
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    plots: tuple[PlotData, ...] = ()


class Memory:
    """Cache of the last slow results, so that a moved point needs no new encoding. For one thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def recall(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value cached for this key, or make it now."""
        if key not in self._kept:
            self._kept[key] = make()
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return cast(Value, self._kept[key])


@dataclass(frozen=True, eq=False)
class Scene:
    """Input of a view; ``embedding`` is the panel's if up to date, ``mask`` the current object's."""

    predictor: Predictor
    image: Image | None = None
    plane: DisplayedPlane | None = None
    prompts: Prompts | None = None
    embedding: Embedding | None = None
    mask: MaskCrop | None = None

    @property
    def shape_yx(self) -> tuple[int, int]:
        assert self.plane is not None
        return self.plane.shape_yx

    @property
    def focus_yx(self) -> tuple[float, float]:
        """The newest foreground point, or any other, or the middle of the newest box."""
        assert self.prompts is not None
        points, boxes = self.prompts.points_yx, self.prompts.boxes_yx
        foreground = points[self.prompts.labels == 1]
        if len(foreground) or (len(points) and not len(boxes)):
            y, x = (foreground if len(foreground) else points)[-1]
        else:
            y, x = boxes[-1].reshape(2, 2).mean(axis=0)
        return float(y), float(x)

    @property
    def key(self) -> Hashable:
        """Key of the model and the display: one encoding for each key."""
        return self.predictor.model.sha256, None if self.plane is None else self.plane.display_key

    def is_moved_from(self, other: Scene) -> bool:
        """Return True if only prompts or mask differ, so that the encoding serves again."""
        moved = (self.prompts, self.mask) != (other.prompts, other.mask)
        return moved and self.key == other.key

    @cached_property
    def seen(self) -> SeenPixels:
        """The plane as the model sees it. Reads; call it in a worker."""
        assert self.plane is not None
        return self.plane.seen_pixels()

    @property
    def display(self) -> dict[str, Any]:
        """Intensity and gamma as ``Predictor.embed`` takes them. Reads; call it in a worker."""
        return {"intensity": self.seen.intensity, "gamma": self.seen.gamma}

    def pixels(self) -> NDArray[Any]:
        """The pixels that the model sees. Reads; call it in a worker."""
        return self.seen.pixels

    def input(self) -> ModelInput:
        from napari_samv1.inspection import model_input

        return model_input(self.predictor.model, self.pixels(), **self.display)

    def encoded(self, memory: Memory, ticket: Ticket) -> Embedding:
        """The panel's encoding, a cached one, or a new one."""
        if self.embedding is not None:
            return self.embedding
        return memory.recall(
            ("encoding", self.key),
            lambda: self.predictor.embed(self.pixels(), **self.display, on_progress=ticket.count),
        )

    def current_mask(self, memory: Memory, ticket: Ticket) -> NDArray[np.bool_]:
        """The mask of the current object: as annotated, or as the model answers now."""
        if self.mask is not None and not self.mask.empty:
            return self.mask.to_mask(self.shape_yx)
        assert self.prompts is not None
        prediction = self.predictor.answer(self.encoded(memory, ticket), self.prompts)
        return prediction.mask(prediction.best())


Look = Callable[[Scene, Memory, Ticket], Seen]
