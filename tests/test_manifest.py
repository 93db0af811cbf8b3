"""What napari reads about the plugin. ``npe2 validate`` accepts misspelt menus and absent commands."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from napari._app_model.constants import MenuId
from npe2 import PluginManifest

NAME = "napari-samv1"
ROOT = Path(__file__).parent.parent
PACKAGED = Path("src") / "napari_samv1" / "napari.yaml"

MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / PACKAGED).read_text(encoding="utf-8"))
CONTRIBUTIONS: dict[str, Any] = MANIFEST["contributions"]
COMMANDS: dict[str, str] = {command["id"]: command["python_name"] for command in CONTRIBUTIONS["commands"]}
SUBMENUS = {submenu["id"] for submenu in CONTRIBUTIONS.get("submenus", [])}


def values_of(key: str, node: Any) -> Iterator[Any]:
    """Every value that stands under this key, however deep."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from values_of(key, value)
    elif isinstance(node, list):
        for item in node:
            yield from values_of(key, item)


def test_the_top_level_manifest_is_the_packaged_one() -> None:
    top = (ROOT / "napari.yaml").read_text(encoding="utf-8")
    # where git makes no symbolic links, the file holds the link's target
    assert top in {(ROOT / PACKAGED).read_text(encoding="utf-8"), PACKAGED.as_posix()}


def test_the_installed_package_exposes_this_manifest() -> None:
    [entry] = entry_points(group="napari.manifest", name=NAME)
    assert entry.value == "napari_samv1:napari.yaml"
    found = PluginManifest.from_distribution(NAME)
    assert found.name == NAME
    assert {command.id for command in found.contributions.commands or []} == set(COMMANDS)


def test_every_installed_npe2_knows_the_manifest_format_and_keys() -> None:
    # newer keys of widgets make the whole plugin vanish on the npe2 of napari 0.7
    assert MANIFEST["schema_version"] == "0.2.1"
    for widget in CONTRIBUTIONS["widgets"]:
        assert set(widget) <= {"command", "display_name", "autogenerate"}


def test_no_contribution_is_misspelt() -> None:
    assert set(CONTRIBUTIONS) <= {
        "commands",
        "readers",
        "writers",
        "widgets",
        "sample_data",
        "themes",
        "menus",
        "submenus",
        "configurations",
    }


def test_every_command_that_is_used_exists_and_every_one_that_exists_is_used() -> None:
    used = set(values_of("command", CONTRIBUTIONS))
    assert used == set(COMMANDS)
    assert all(command.startswith(f"{NAME}.") for command in COMMANDS)


def test_every_menu_is_napari_s_or_a_submenu_of_ours() -> None:
    allowed = {str(menu) for menu in MenuId.contributables()} | SUBMENUS
    assert set(CONTRIBUTIONS["menus"]) <= allowed


def test_every_submenu_is_defined_filled_and_shown() -> None:
    shown = set(values_of("submenu", CONTRIBUTIONS["menus"]))
    assert shown == SUBMENUS
    assert set(CONTRIBUTIONS["menus"]) >= SUBMENUS


@pytest.mark.parametrize("python_name", COMMANDS.values(), ids=COMMANDS)
def test_every_command_leads_to_something_that_can_be_called(python_name: str) -> None:
    module, _, attribute = python_name.partition(":")
    assert callable(getattr(import_module(module), attribute))


def test_the_manifest_passes_npe2_s_own_validation() -> None:
    PluginManifest.from_file(ROOT / PACKAGED).validate_imports()
