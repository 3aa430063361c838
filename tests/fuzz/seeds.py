"""Where fuzzing starts: the files of the corpus, and what was found before."""

from __future__ import annotations

import numpy as np

from compactproofs.search.builtin import STRATEGIES

from .targets import CORPUS, models

LONGEST_SEED = 2**16


def seeds(target: str) -> list[bytes]:
    """Bytes worth changing, in a fixed order."""
    pattern = {"certificate": "*/*.cert.json", "model": "*/*.safetensors"}.get(target)
    found = [path for path in sorted(CORPUS.glob(pattern)) if path.stat().st_size <= LONGEST_SEED] if pattern else []
    found += sorted((CORPUS / "fuzzed" / target).glob("*"))
    made = []
    if target == "verify":
        rng = np.random.default_rng(0)
        for strategy in range(len(STRATEGIES)):
            for style in range(2):
                about = rng.integers(len(models()))
                made.append(bytes([about, strategy, style, 0]) + rng.bytes(200))
    return [path.read_bytes() for path in found] + made
