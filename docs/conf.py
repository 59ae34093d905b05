"""Sphinx: ``sphinx-build -nW --keep-going docs build/site``, with the extra ``docs``."""

from __future__ import annotations

import sys
from pathlib import Path

import localgd

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

project = "localgd"
author = "the localgd developers"
copyright = author
release = version = localgd.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "cyclopts.ext.sphinx",
    "mathml",
    "pages_elsewhere",
]
exclude_patterns = ["gallery/*", "_templates/*"]
templates_path = ["_templates"]
nitpick_ignore_regex = [
    # Types in signatures and in docstrings that other projects document.
    ("py:.*", r"(numpy|np|pandas|matplotlib|scipy|sklearn|concurrent|collections|os)\..*"),
]

myst_heading_anchors = 4

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"  # numpydoc has the types
autodoc_default_options = {
    # Written by scikit-learn, for its own site.
    "exclude-members": "set_fit_request,set_predict_request,set_score_request"
}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 1e6,  # times here say little
    "show_signature": False,
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "copyfile_regex": r".*\.rst",
}
suppress_warnings = ["config.cache"]

copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = f"localgd {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars = {name: [] for name in ("index", "shell", "faq")}  # they have no pages below
html_context = {"default_mode": "auto"}
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
