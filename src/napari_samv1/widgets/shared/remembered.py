"""The last choices, in napari's plugin preferences (from 0.9), otherwise in a small file."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import platformdirs

from napari_samv1.app.models import Choices

logger = logging.getLogger(__name__)

PLUGIN = "napari-samv1"


def recall() -> Choices:
    """The last choices, or the defaults if they cannot be read."""
    settings = _plugin_settings()
    if settings is not None:
        return Choices(**{field.name: str(getattr(settings, field.name)) for field in fields(Choices)})
    try:
        stored = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Choices()
    if not isinstance(stored, dict):
        return Choices()
    names = {field.name for field in fields(Choices)}
    return Choices(**{key: str(value) for key, value in stored.items() if key in names})


def remember(choices: Choices) -> None:
    """Keep the choices for the next start; a failed write is only logged."""
    settings = _plugin_settings()
    if settings is not None:
        for key, value in asdict(choices).items():
            with suppress(ValueError):
                setattr(settings, key, value)
        return
    try:
        _write(_file(), json.dumps(asdict(choices), indent=1))
    except OSError as error:
        logger.info("the last choices were not kept: %s", error)


def recall_sessions_folder() -> Path:
    """The folder of the last session, or else the user's home folder."""
    try:
        folder = Path(_folder_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Path.home()
    return folder if folder.is_dir() else Path.home()


def remember_sessions_folder(folder: Path) -> None:
    """Keep the folder in which a session was saved or opened, for the next start."""
    try:
        _write(_folder_file(), str(folder))
    except (OSError, ValueError) as error:
        logger.info("the last folder was not kept: %s", error)


def _folder_file() -> Path:
    return _file().with_name(f"{PLUGIN}-sessions-folder.txt")


def _plugin_settings() -> Any | None:
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari 0.7 and 0.8
        return None
    try:
        return get_plugin_settings(PLUGIN).defaults
    except (KeyError, AttributeError):  # not installed as a plugin, or an npe2 without plugin preferences
        return None


def _file() -> Path:
    config = os.environ.get("NAPARI_CONFIG")  # napari's settings file, which tests redirect
    folder = Path(config).parent if config else platformdirs.user_config_path(PLUGIN, appauthor=False)
    return folder / f"{PLUGIN}.json"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)
