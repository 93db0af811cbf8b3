"""Native file dialogs to save, open and export."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_samv1.widgets.panel.session_exports import EXPORTS, Export

# a file ending, but not that of "cells 2.5" or "day.12"
_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


def ask_where_to_save(parent: QWidget, suggested: Path) -> Path | None:
    """Ask for a session's folder, new or existing; None if cancelled."""
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Save the session as a folder", str(suggested), "Session folder (*)"
    )
    return Path(chosen) if chosen else None


def ask_what_to_open(parent: QWidget, start: Path) -> Path | None:
    """Ask for the folder of a saved session; None if cancelled."""
    chosen = QFileDialog.getExistingDirectory(parent, "Open a session: choose its folder", str(start))
    return Path(chosen) if chosen else None


@dataclass(frozen=True)
class Target:
    """A file to export to, and its format; ``confirmed`` is the file that the dialog may replace."""

    path: Path
    export: Export
    confirmed: Path


class UnknownEndingError(ValueError):
    """Error for a file ending of no export format; the message names the endings."""


def ask_where_to_export(parent: QWidget, suggested: Path) -> Target | None:
    """Ask for a file and its format: by the name's ending, or else by the dialog's filter.

    Raises
    ------
    UnknownEndingError
        If the name has another ending.
    """
    filters = {
        f"{export.title} ({' '.join(f'*{ending}' for ending in export.endings)})": export
        for export in EXPORTS
    }
    chosen, picked = QFileDialog.getSaveFileName(
        parent, "Export the masks", str(suggested), ";;".join(filters)
    )
    if not chosen:
        return None
    path = Path(chosen)
    for export in EXPORTS:
        if export.ending_of(path.name):
            return Target(path, export, path)
    if _ENDING.search(path.name):
        endings = ", ".join(ending for export in EXPORTS for ending in export.endings)
        raise UnknownEndingError(
            f"“{path.suffix}” is no export format: end the name in one of {endings}, or leave its ending out "
            f"to get the format chosen in the dialog."
        )
    export = filters.get(picked, EXPORTS[0])
    return Target(path.with_name(path.name + export.endings[0]), export, path)
