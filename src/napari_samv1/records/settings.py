"""Settings of an object: how its mask is made from the network's answer, and where it may be painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from napari_samv1.records.detail import Detail, checked_detail

Choice = Literal["auto", 0, 1, 2, 3]
CHOICES: tuple[Choice, ...] = ("auto", 0, 1, 2, 3)


@dataclass(frozen=True)
class Rule:
    """Overlap rule for pixels that show another label; ``label`` is the one to stay inside of."""

    kind: Literal["keep", "overwrite", "inside"] = "keep"
    label: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("keep", "overwrite", "inside"):
            raise ValueError(f'a rule must be "keep", "overwrite" or "inside", got {self.kind!r}')
        if self.kind == "inside" and self.label < 1:
            raise ValueError(f'the rule "inside" needs a label of 1 or more, got {self.label}')


KEEP = Rule("keep")
OVERWRITE = Rule("overwrite")


@dataclass(frozen=True)
class ObjectSettings:
    """Settings that make an object's mask from the network's answer, and the rule for painting it.

    ``threshold`` is in logits; ``cleanup`` a ``masks.clean.CleanUp`` or None; ``rule`` decides about pixels
    of other labels. With ``clicked_piece`` the answer to a single click loses the pieces that do not hold the
    click. ``detail`` is model pixels per image pixel, "whole" for the whole plane in one encoding, or "auto"
    until the first prompt decides.
    """

    choice: Choice = "auto"
    threshold: float = 0.0
    cleanup: Any = None
    rule: Rule = KEEP
    clicked_piece: bool = False
    detail: Detail = "whole"

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise ValueError(f'choice must be "auto", 0, 1, 2 or 3, got {self.choice!r}')
        checked_detail(self.detail)

    @property
    def by_region(self) -> bool:
        """True if a region of the plane answers; False for "whole", and for "auto" until decided."""
        return self.detail not in ("whole", "auto")

    def derives_like(self, other: ObjectSettings) -> bool:
        """True if both make the same mask from the same prompts."""
        return self.detail == other.detail and (
            (self.choice, self.threshold, self.cleanup, self.clicked_piece)
            == (other.choice, other.threshold, other.cleanup, other.clicked_piece)
        )


FOR_NEW_OBJECTS = ObjectSettings(clicked_piece=True, detail="auto")
