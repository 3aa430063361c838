"""Networks of two arguments whose parts meet only in the sum that a layer of ReLUs reads."""
