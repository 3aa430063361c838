"""Decoder-only transformers with learned positions, of any number of layers and heads."""
