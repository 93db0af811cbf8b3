"""Settings of an object: how its mask is made from the network's answer, and where it may be painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Choice = Literal["auto", 0, 1, 2, 3]
CHOICES: tuple[Choice, ...] = ("auto", 0, 1, 2, 3)


@dataclass(frozen=True)
class Rule:
    """What an object may do to pixels that show another label; ``label`` is the one to stay inside of."""

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
    """How an object's mask is made from the network's answer, and where it may be painted.

    ``threshold`` is in logits; ``cleanup`` a ``masks.clean.CleanUp`` or None; ``rule`` says what happens to
    pixels that others own. With ``clicked_piece`` the answer to a single click loses the pieces that do not
    hold the click.
    """

    choice: Choice = "auto"
    threshold: float = 0.0
    cleanup: Any = None
    rule: Rule = KEEP
    clicked_piece: bool = False

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise ValueError(f'choice must be "auto", 0, 1, 2 or 3, got {self.choice!r}')

    def derives_like(self, other: ObjectSettings) -> bool:
        """Whether both make the same mask from an answer."""
        return (self.choice, self.threshold, self.cleanup, self.clicked_piece) == (
            other.choice,
            other.threshold,
            other.cleanup,
            other.clicked_piece,
        )


FOR_NEW_OBJECTS = ObjectSettings(clicked_piece=True)
