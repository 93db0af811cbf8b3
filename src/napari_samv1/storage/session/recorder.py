"""From a living session to its record: cheap, on the main thread, as often as something changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.storage.session.record import (
    Computation,
    DrawnShape,
    Environment,
    PlaneRecord,
    PlaneSource,
    SessionRecord,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_samv1.checkpoints.record import LoadedModel
    from napari_samv1.engine.objects import Request
    from napari_samv1.engine.session import AnnotationSession
    from napari_samv1.masks.covered import Covered
    from napari_samv1.records.mask_crop import MaskCrop


@dataclass(frozen=True, eq=False)
class Annotated:
    """A plane and its session, to be recorded."""

    source: PlaneSource
    session: AnnotationSession
    beneath: NDArray[Any] | None = None
    drawn: Mapping[int, tuple[DrawnShape, ...]] = field(default_factory=dict)


class Recorder:
    """Knows which model in which process gave each answer: ours, or that of a session opened again."""

    def __init__(self) -> None:
        self.created = now()
        self._models: dict[str, tuple[str, str]] = {}
        # the requests themselves are kept, so that an id stays theirs
        self._opened: dict[int, tuple[Request, Computation]] = {}

    def use(self, model: LoadedModel, source: str) -> None:
        """A model is used from now on; ``source`` is what ``load_model`` was given."""
        self._models[model.sha256] = (model.name, source)

    def begin(self) -> None:
        """Another session begins now."""
        self.created = now()

    def adopt(self, record: SessionRecord) -> None:
        """A session was opened: its objects keep where they came from until they are decoded anew."""
        self.created = record.created or self.created
        for plane in record.planes:
            for known in plane.objects:
                if known.answered is not None and known.id in plane.computations:
                    self._opened[id(known.answered)] = known.answered, plane.computations[known.id]

    def record(self, planes: Iterable[Annotated]) -> SessionRecord:
        """What there is now. Objects and masks are shared, not copied."""
        records, ours = [], _Ours(self._models)
        for plane in planes:
            objects = tuple(plane.session.objects.values())
            computations = {}
            for known in objects:
                if known.answered is not None:
                    opened = self._opened.get(id(known.answered))
                    weights = getattr(known.answered.embedding_key, "weights", "")
                    computations[known.id] = opened[1] if opened else ours.by(weights)
            records.append(
                PlaneRecord(
                    plane.source,
                    plane.session.shape_yx,
                    objects,
                    plane.session.stack,
                    computations,
                    plane.beneath,
                    dict(plane.drawn),
                )
            )
        return SessionRecord(tuple(records), self.created)


class _Ours:
    """What this process computes with each model; torch is asked only where there is an answer."""

    def __init__(self, models: Mapping[str, tuple[str, str]]) -> None:
        self._models = models
        self._made: dict[str, Computation] = {}

    def by(self, weights: str) -> Computation:
        """A model by its weights; without a name where they are not known."""
        if weights not in self._made:
            self._made[weights] = Computation(*self._models.get(weights, ("", "")), Environment.now())
        return self._made[weights]


def now() -> str:
    """The time, as a session file says it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def labels_beneath(
    labels_hw: NDArray[Any], objects: Iterable[tuple[int, MaskCrop]], covered: Covered
) -> NDArray[Any] | None:
    """The labels of a label image that are no object's, also those that objects cover; None without any.

    ``objects`` are (id, mask) as they are painted, ``covered`` what lies under them: the label writer's.
    """
    beneath = np.array(labels_hw)
    for object_id, mask in objects:
        part = beneath[mask.region]
        own = mask.mask & (part == object_id)
        part[own] = covered.within(mask.region, part.dtype)[own]
    if not beneath.any():
        return None
    beneath.flags.writeable = False
    return beneath
