from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Layer
from npe2 import PluginManifest

import napari_samv1

PACKAGE = Path(napari_samv1.__file__).parent


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(PACKAGE / "napari.yaml")


def test_everything_named_in_the_manifest_can_be_imported(manifest):
    manifest.validate_imports()


def test_every_command_that_is_used_exists(manifest):
    contributions = manifest.contributions
    known = {command.id for command in contributions.commands}
    used = [widget.command for widget in contributions.widgets]
    used += [sample.command for sample in contributions.sample_data]
    for items in contributions.menus.values():
        used += [item.command for item in items if hasattr(item, "command")]
    assert set(used) <= known


def test_every_menu_exists(manifest):
    from napari._app_model.constants import MenuId

    ours = {submenu.id for submenu in manifest.contributions.submenus}
    napari_menus = {menu.value for menu in MenuId.contributables()}
    assert set(manifest.contributions.menus) <= ours | napari_menus
    submenus = {
        item.submenu
        for items in manifest.contributions.menus.values()
        for item in items
        if hasattr(item, "submenu")
    }
    assert submenus == ours


def test_samples_are_real_images_and_come_without_a_download(manifest, monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("a sample wanted the internet")

    monkeypatch.setattr(socket, "socket", refuse)
    for sample in manifest.contributions.sample_data:
        command = next(c for c in manifest.contributions.commands if c.id == sample.command)
        module, name = command.python_name.split(":")
        (data, options, kind), *rest = getattr(__import__(module, fromlist=[name]), name)()
        assert rest == []
        assert kind == "image"
        layer = Layer.create(np.asarray(data), options, kind)
        assert min(layer.data.shape[:2]) > 250
