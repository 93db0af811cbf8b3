"""Change: the pieces that a step touched on each plane, so that only their pixels are redrawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from napari_samv1.records.place import Plane


@dataclass(frozen=True)
class Change:
    """Objects whose pixels may differ, by plane. False when there are none."""

    planes: Mapping[Plane, frozenset[int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.planes)

    def __or__(self, other: Change) -> Change:
        planes = dict(self.planes)
        for plane, ids in other.planes.items():
            planes[plane] = planes.get(plane, frozenset()) | ids
        return Change(planes)

    @classmethod
    def of(cls, keys: Iterable[tuple[Plane, int]]) -> Change:
        """A change of these pieces."""
        planes: dict[Plane, set[int]] = {}
        for plane, object_id in keys:
            planes.setdefault(plane, set()).add(object_id)
        return cls({plane: frozenset(ids) for plane, ids in planes.items()})
