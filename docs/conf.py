"""The documentation site, made by ``make docs``: Sphinx, without the internet."""

from __future__ import annotations

import re
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "napari-samv1"
author = "the napari-samv1 developers"
copyright = author
version = release = installed("napari-samv1")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conf.py"]

html_theme = "furo"
html_title = "napari-samv1"
html_show_sourcelink = False
html_copy_source = False

# headings can be linked to, as on GitHub
myst_heading_anchors = 3

napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
# by their names instead of what they stand for
autodoc_type_aliases = {
    name: name
    for name in (
        "ArrayLike",
        "Choose",
        "Detail",
        "Intensity",
        "Mode",
        "OnProgress",
        "Precision",
        "Rounding",
        "Sizing",
    )
}
python_maximum_signature_line_length = 88

# pages that are made of files beside docs/, which the same links lead to on GitHub
MADE_OF = {"benchmarks/results.md": "/reference/measurements.md"}
LINK = re.compile(r"\]\((?:\.\./)+(" + "|".join(map(re.escape, MADE_OF)) + r")")
LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=\"(?:https?:)?//[^\"]*\"")


def refuse_what_comes_from_elsewhere(app: Sphinx, failed: Exception | None) -> None:
    """End the build with an error where a page would load a font, script or picture from the internet."""
    if failed is not None:
        return
    for page in Path(app.outdir).rglob("*.html"):
        if found := LOADED.search(page.read_text(encoding="utf-8")):
            raise ExtensionError(f"{page.name} loads from the internet: {found[0]}")


def stay_on_the_site(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Let links to a file beside docs/ lead to the page that is made of it."""
    source[0] = LINK.sub(lambda link: f"]({MADE_OF[link[1]]}", source[0])


def keep_first_lines(
    _app: Sphinx, what: str, _name: str, _thing: object, _options: object, lines: list[str]
) -> None:
    """Put the first line of a property's docstring together again: napoleon takes "a: b" for a type."""
    marks = [number for number, line in enumerate(lines) if line.startswith(":type: ")]
    if what == "property" and marks:
        lines[0] = f"{lines[marks[0]].removeprefix(':type: ')}: {lines[0]}"
        del lines[marks[0]]


def setup(app: Sphinx) -> None:
    app.connect("source-read", stay_on_the_site)
    # after napoleon
    app.connect("autodoc-process-docstring", keep_first_lines, priority=900)
    app.connect("build-finished", refuse_what_comes_from_elsewhere)
