"""The native dialogs that ask where to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_samv1.widgets.panel.session_exports import EXPORTS, Export


def ask_where_to_save(parent: QWidget, suggested: Path) -> Path | None:
    """A name for a session's folder, new or there; None where the person thought better of it."""
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Save the session as a folder", str(suggested), "Session folder (*)"
    )
    return Path(chosen) if chosen else None


def ask_what_to_open(parent: QWidget, start: Path) -> Path | None:
    """A session's folder."""
    chosen = QFileDialog.getExistingDirectory(parent, "Open a session: choose its folder", str(start))
    return Path(chosen) if chosen else None


@dataclass(frozen=True)
class Target:
    """Where to export to, and as what; ``confirmed`` is the file of which the dialog itself has asked."""

    path: Path
    export: Export
    confirmed: Path


def ask_where_to_export(parent: QWidget, suggested: Path) -> Target | None:
    """A file and its format, which the name's ending says, or else the filter that was chosen."""
    filters = {f"{export.title} (*{export.suffix})": export for export in EXPORTS}
    chosen, picked = QFileDialog.getSaveFileName(
        parent, "Export the masks", str(suggested), ";;".join(filters)
    )
    if not chosen:
        return None
    path = Path(chosen)
    for export in EXPORTS:
        if path.name.lower().endswith(export.suffix):
            return Target(path, export, path)
    export = filters.get(picked, EXPORTS[0])
    return Target(path.with_name(path.name + export.suffix), export, path)
