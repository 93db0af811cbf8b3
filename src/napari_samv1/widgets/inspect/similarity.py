"""View 6: similarity of image tokens."""

from __future__ import annotations

from napari_samv1.app.worker import Ticket
from napari_samv1.widgets.inspect.scene import Look, Memory, Scene, Seen
from napari_samv1.widgets.inspect.view import View

POINT, MASK = range(2)
KINDS = ("the token under the newest point", "the tokens under the current mask")


class SimilarityView(View):
    title = "Semantic similarity"
    about = "Similarity of every token to the one you pointed at, in the channels that the mask decoder gets."
    needs_prompts = True
    live = True

    def __init__(self) -> None:
        super().__init__()
        self.kind = self.choice("Resembles", KINDS)

    def look(self) -> Look:
        kind = self.kind.currentIndex()

        def look(scene: Scene, memory: Memory, ticket: Ticket) -> Seen:
            from napari_samv1.inspection import (
                Cells,
                cosine_similarity,
                image_channels,
                token_under,
                tokens_under,
            )
            from napari_samv1.layers.inspection import Picture

            embedding = scene.encoded(memory, ticket)
            frame = embedding.frame
            weights = (
                tokens_under(frame, scene.current_mask(memory, ticket))
                if kind == MASK
                else token_under(frame, scene.focus_yx)
            )
            if not weights.any():
                return Seen("The current mask is empty: there is nothing to compare with. Click elsewhere.")
            similarity = cosine_similarity(image_channels(embedding), weights)
            picture = Picture("similarity", similarity, Cells.of_tokens(frame), contrast=(-1.0, 1.0))
            target = "tokens under the current mask" if kind == MASK else "token under your newest point"
            sentence = (
                f"The cosine of the angle between every token and the {target}: 1 (yellow) means the same to "
                "the network, 0 (green) nothing in common, -1 (violet) the opposite. Objects of one kind "
                "light up together."
            )
            return Seen(sentence, {"similarity": picture})

        return look
