"""The ``napari-samv1`` command: one verb a file."""

from napari_samv1.cli.main import main

__all__ = ["main"]
