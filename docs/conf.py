"""How the site is built of these pages: `make docs`."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_sphinx"))

import compactproofs  # noqa: E402

project = "compactproofs"
author = "the authors of compactproofs"
release = version = compactproofs.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "docstrings",
    "links",
    "generated",
    "pictures",
    "mathematics",
    "finished",
]
exclude_patterns = ["_sphinx", "constraints.txt"]
root_doc = "index"

# Pages are read on a git forge too, so they are plain Markdown; headings can be linked to, as there.
myst_heading_anchors = 4

# Formulas stand between ```math and ```, as on a forge; MathJax is a file of the site (`mathematics`).
myst_fence_as_directive = ["math"]
mathjax_path = "mathjax.js"
mathjax3_config = {"options": {"enableMenu": False}}

# Text means what it says: no quotes, primes or hyphens are changed, and what has no language is not coloured.
smartquotes = False
highlight_language = "none"

# What is imported for its docstrings only, and needs packages that a site does not need.
autodoc_mock_imports = ["safetensors", "torch", "transformer_lens"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
_SHORT = ("Array", "FloatArray", "IntArray", "BoolArray", "Hints", "Weights", "npt.ArrayLike", "npt.DTypeLike")
autodoc_type_aliases = {name: name.rpartition(".")[2] for name in _SHORT}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "compactproofs"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["reports/max-of-4-123.html", "reports/max-of-4.html"]
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "tango"
pygments_dark_style = "github-dark"
