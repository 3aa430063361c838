"""What both checkers make of a task's record in a certificate."""

import json
from pathlib import Path
from typing import Any

import pytest

from compactproofs import Certificate, MalformedCertificate, Model
from compactproofs.search.effort import verify
from compactproofs.search.prover import Prover
from compactproofs.tasks.by_comparison import ByComparison
from compactproofs.tasks.max_of_k import MaxOfK
from exactcheck import checking


def refused_by_both(
    model: Model, task: MaxOfK | ByComparison, change: dict[str, Any], directory: Path, strategy_id: str = "trivial"
) -> None:
    """A certificate is accepted as it is, and malformed to both checkers with this change of its task."""
    certificate = Prover(model, task).prove(strategy_id).certificate
    assert verify(certificate, model).accepted
    fields = json.loads(certificate.to_bytes())
    fields["task"] |= change
    with pytest.raises(MalformedCertificate, match=r"^task: "):
        verify(Certificate.of_fields(fields), model)
    (directory / "p").write_text(json.dumps(fields))
    model.save(directory / "m")
    assert checking.main([str(directory / "p"), str(directory / "m")]) == 2
