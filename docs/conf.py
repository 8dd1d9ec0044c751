"""Settings of the documentation's site: `make docs` builds it into build/site.

The source folder is the checkout, so that pages link to each other as they do in the repository; the notebooks are executed
while the site is built. Any warning, such as a link that leads nowhere, is an error.
"""

import importlib.metadata

project = "bigbench_meta"
author = "bigbench_meta contributors"
copyright = author  # noqa: A001 - Sphinx's own name
release = importlib.metadata.version("bigbench-meta")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc", "myst_nb", "sphinx_copybutton", "sphinx_click"]
include_patterns = [
    "docs/*.md", "notebooks/*.ipynb", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md",
]  # fmt: skip
exclude_patterns = ["build", ".venv*", "**/.*", "bigbench_meta", "tests", "scripts"]
root_doc = "docs/index"
default_role = "code"
nitpicky = False

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "none"  # the docstrings say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "bigbench_meta"
html_extra_path = ["_top"]  # an index.html at the top of the site, which is docs/ in the checkout
html_copy_source = False
html_show_sourcelink = False
html_sidebars = {"**": ["globaltoc.html"]}  # every page, by its section
html_theme_options = {
    "navbar_center": [],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
