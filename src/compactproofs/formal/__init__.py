"""Theorems about trained models for Coq's kernel: export of weights, hints and claims, and running coqc."""
