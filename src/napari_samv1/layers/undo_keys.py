"""Undo and redo keys on the layers of an annotation, so that they move in its one history."""

from __future__ import annotations

from collections.abc import Callable

from napari.layers import Labels, Layer

from napari_samv1.layers.open_bindings import binding_of

UNDO_KEY, REDO_KEY = "Control-Z", "Control-Shift-Z"

Command = Callable[[Layer], None]


class UndoKeys:
    """The keys of one layer, bound to the annotation until ``close``; then they are what they were."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._before = {
            key: layer.bind_key(key, command, overwrite=True)
            for key, command in ((UNDO_KEY, _undo), (REDO_KEY, _redo))
        }

    def close(self) -> None:
        """Give the keys back; one that somebody else has bound since stays theirs. Again does nothing."""
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
    binding = binding_of(layer)
    if binding is not None and binding.shown is not None:
        binding.travel(back=back)
    elif isinstance(layer, Labels):
        # nothing is annotated here, so that strokes are napari's own
        (layer.undo if back else layer.redo)()
