"""Writing of pieces as prompts: the document's drawn shapes into the bound layers."""

from __future__ import annotations

from collections.abc import Mapping

from napari_samv1.annotation.pieces import Piece, PieceKey
from napari_samv1.layers.annotated import AnnotatedImage
from napari_samv1.layers.prompts.pair import PromptPair
from napari_samv1.layers.prompts.write import RowChange
from napari_samv1.records.drawn import all_close


def show_pieces(
    prompts: PromptPair,
    annotated: AnnotatedImage,
    pieces: Mapping[PieceKey, tuple[Piece | None, Piece | None]],
) -> None:
    """Change the prompt layers from the pieces before to the pieces after."""
    changes = []
    for (plane, object_id), (before, after) in pieces.items():
        old, new = before.drawn if before else (), after.drawn if after else ()
        if old is not new and not all_close(old, new):
            changes.append(RowChange(annotated.sheet(plane).displayed, object_id, old, new))
    if changes:
        prompts.write(annotated.image, changes)


def fill(prompts: PromptPair, annotated: AnnotatedImage) -> None:
    """Give a fresh layer the prompts that the document holds."""
    document = annotated.document
    changes = [
        RowChange(annotated.sheet(plane).displayed, piece.id, (), piece.drawn)
        for plane in document.planes
        for piece in document.on(plane).objects.values()
        if piece.drawn
    ]
    if changes:
        prompts.fill(annotated.image, changes)
