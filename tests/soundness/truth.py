"""The exact truth about a small model: which inputs it answers with their largest token."""

from __future__ import annotations

from compactproofs.testing.truth import all_inputs, exact_correct, exact_correct_set

__all__ = ["all_inputs", "exact_correct", "exact_correct_set"]
