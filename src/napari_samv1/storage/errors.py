"""Errors of a session's files."""

from __future__ import annotations


class SessionError(Exception):
    """A session cannot be read, written or repeated; the message is a sentence with the reason."""
