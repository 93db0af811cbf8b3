"""Tables that the encoder makes of its weights, cached for a few grids."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from torch import Tensor

from napari_samv1.model.image_encoder.blocks import BlockTables
from napari_samv1.model.weights import Unchanged

MOST = 3


@dataclass(frozen=True, eq=False)
class EncoderTables:
    """Positions h w C of all tokens, and each stage's tables of its blocks."""

    positions_hwc: Tensor
    stages: tuple[tuple[BlockTables, ...], ...]


class KeptTables:
    """Cache of the tables of the last few grids; a copy is empty, because its weights are copies."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Unchanged, EncoderTables]] = OrderedDict()

    def of(
        self, key: Hashable, parameters: Sequence[Tensor], make: Callable[[], EncoderTables]
    ) -> EncoderTables:
        """Return the tables of a key; make them if they are missing or the weights have changed."""
        # taken out and put back, so that two threads may both make tables, but never see half-made ones
        found = self._kept.pop(key, None)
        if found is None or not found[0].are(parameters):
            found = Unchanged(parameters), make()
        self._kept[key] = found
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return found[1]

    def __len__(self) -> int:
        return len(self._kept)

    def __deepcopy__(self, _: object) -> KeptTables:
        return KeptTables()

    def __reduce__(self) -> tuple[type[KeptTables], tuple[()]]:
        return KeptTables, ()
