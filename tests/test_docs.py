"""The documentation says what is so: its scripts run, its reference is whole, its names are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import napari_samv1
from napari_samv1.app.actions import KEYS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SCRIPT = (DOCS / "tutorial" / "script.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"^```python\n(.*?)^```$", SCRIPT, re.M | re.S)


@pytest.mark.parametrize("block", SCRIPTS, ids=range(len(SCRIPTS)))
def test_each_script_of_the_tutorial_runs_by_itself(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "script.md", "exec"), {"__name__": "tutorial"})


@pytest.mark.parametrize("page", ["any-size.md", "automatic.md"])
def test_the_scripts_of_a_page_run_one_after_another(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text(encoding="utf-8")
    said: dict[str, object] = {"__name__": "page"}
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, page, "exec"), said)


def test_the_reference_has_every_public_name_once() -> None:
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    names = re.findall(r"^\.\. auto\w+:: (\w+)$", page, re.M)
    assert sorted(names) == sorted(napari_samv1.__all__)


def test_every_environment_variable_is_on_the_page_of_the_panel() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py"))
    page = (DOCS / "reference" / "panel.md").read_text(encoding="utf-8")
    used = set(re.findall(r'"(NAPARI_SAMV1_\w+)"', sources))
    assert used == set(re.findall(r"^\| `(NAPARI_SAMV1_\w+)` \|", page, re.M))


def test_the_keys_that_are_named_are_the_keys() -> None:
    page = (DOCS / "how-to" / "many-small-objects.md").read_text(encoding="utf-8")
    [line] = re.findall(r"\*\*Keys\*\* instead of buttons: (.*?)\. They work", page, re.S)
    named = {key.replace("+", "-") for key in re.findall(r"((?:Shift\+|Alt\+)\w+|\b[NQ]\b)", line)}
    known = {action.key for action in KEYS}
    assert named - known == set()
    assert {"N", "Shift-N", "Shift-Delete"} <= named


def test_the_readme_s_animation_is_small_enough_to_load_at_once() -> None:
    from PIL import Image, ImageSequence

    file = DOCS / "images" / "click-correct-next-export.gif"
    assert file.stat().st_size < 2_000_000
    with Image.open(file) as film:
        assert sum(1 for _ in ImageSequence.Iterator(film)) > 20
