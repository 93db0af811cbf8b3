from __future__ import annotations

from pathlib import Path

import napari.settings
import pytest
from npe2 import PluginManifest

import napari_samv1
from napari_samv1.app.models import Choices
from napari_samv1.widgets.shared import remembered
from napari_samv1.widgets.shared.remembered import recall, remember

real_settings = remembered._plugin_settings


@pytest.fixture
def old_napari(tmp_path):
    """Where a napari without plugin preferences, which every test here has, keeps the file."""
    return tmp_path / "napari-samv1.json"


CHOSEN = Choices(model="vit_b", device="cpu", preparation="medsam")


def test_choices_come_back_from_a_file(old_napari):
    assert recall() == Choices()
    remember(CHOSEN)
    assert recall() == CHOSEN


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": "vit_b"', "\0"])
def test_a_broken_file_is_as_if_it_was_never_written(old_napari, content):
    old_napari.write_text(content)
    assert recall() == Choices()


def test_unknown_entries_of_a_newer_version_are_left_out(old_napari):
    old_napari.write_text('{"model": "vit_l", "colour": "blue"}')
    assert recall() == Choices(model="vit_l")


def test_a_folder_that_cannot_be_written_is_no_error(old_napari, monkeypatch):
    monkeypatch.setenv("NAPARI_CONFIG", str(old_napari / "file-not-folder" / "settings.yaml"))
    old_napari.write_text("")
    remember(CHOSEN)
    assert recall() == Choices()


def test_choices_come_back_from_the_preferences_of_new_naparis(npe2pm, monkeypatch):
    monkeypatch.setattr(remembered, "_plugin_settings", real_settings)
    if not hasattr(napari.settings, "get_plugin_settings"):
        pytest.skip("this napari has no plugin preferences")
    manifest = PluginManifest.from_file(Path(napari_samv1.__file__).with_name("napari.yaml"))
    npe2pm.register(manifest)
    settings = remembered._plugin_settings()
    remember(CHOSEN)
    assert recall() == CHOSEN
    assert settings.model == "vit_b"
