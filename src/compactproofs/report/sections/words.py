"""The words of the pages that a reader who has not read the paper may not know: there is nothing to compute."""

from __future__ import annotations

from compactproofs.report.page import Found
from compactproofs.report.subjects import Both, Models, Subject


def of_any(subject: Subject | Both | Models) -> Found:
    """The same for all pages."""
    return {}
