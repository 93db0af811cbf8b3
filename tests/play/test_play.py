"""The machine plays without a window."""

from __future__ import annotations

import pytest

from play.games import SECONDS, play
from play.machine import Playing, PlayingOnAStack, PlayingOnTwoImages


@pytest.mark.parametrize("machine", [PlayingOnAStack, PlayingOnTwoImages])
def test_whatever_people_do_the_document_the_layers_and_the_files_agree(machine: type[Playing]) -> None:
    play(machine, SECONDS)
