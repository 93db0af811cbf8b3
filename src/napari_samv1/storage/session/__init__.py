"""Annotation sessions as files: saving, autosave, recovery, replay."""
