"""Widgets and style that several docks use."""
