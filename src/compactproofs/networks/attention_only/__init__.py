"""One-layer, one-head, attention-only transformers."""
