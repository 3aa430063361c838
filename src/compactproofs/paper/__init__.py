"""The tables and figures of arXiv 2406.11779 on its 151 models, with our strategies beside its own."""
