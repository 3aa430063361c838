"""Files, processes and terminals, for every other part that is not trusted."""
