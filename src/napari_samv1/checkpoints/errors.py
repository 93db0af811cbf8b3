"""Errors of weight files, each told in one sentence."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A weight file cannot be used; the message names the problem and the remedy."""


class DownloadError(CheckpointError):
    """A weight file could not be fetched; the message says where to put it by hand."""
