"""Theorems about answers that are known from how each token compares with them: first, last, k-th largest."""
