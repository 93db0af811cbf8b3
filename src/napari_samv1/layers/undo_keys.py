"""Undo and redo keys of an annotation's layers, which share its one history."""

from __future__ import annotations

from collections.abc import Callable

from napari.layers import Labels, Layer

from napari_samv1.app.actions import REDO, UNDO
from napari_samv1.layers.key_owners import owner_of

Command = Callable[[Layer], None]


class UndoKeys:
    """Keys of one layer, bound to the annotation until ``close`` restores the earlier ones."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._before = {
            key: layer.bind_key(key, command, overwrite=True)
            for key, command in ((UNDO.key, _undo), (REDO.key, _redo))
        }

    def close(self) -> None:
        """Restore the keys, except keys that were bound again since. A second call does nothing."""
        for key, before in self._before.items():
            now = self._layer.bind_key(key, None)
            wanted = before if now in (_undo, _redo) else now
            if wanted is not None:
                self._layer.bind_key(key, wanted)
        self._before = {}


def _undo(layer: Layer) -> None:
    _travel(layer, back=True)


def _redo(layer: Layer) -> None:
    _travel(layer, back=False)


def _travel(layer: Layer, *, back: bool) -> None:
    owner = owner_of(layer)
    pressed = owner is not None and owner.press(UNDO.name if back else REDO.name, on_plane=True)
    if not pressed and isinstance(layer, Labels):
        # without an annotation, strokes are in napari's own undo
        (layer.undo if back else layer.redo)()
