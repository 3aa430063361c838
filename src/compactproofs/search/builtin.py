"""The built-in strategies by their ids, for all that is no check."""

from __future__ import annotations

from types import MappingProxyType

from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.theorems import BUILT_IN

#: Those that are about the largest of K tokens and one head.
STRATEGIES = MappingProxyType(
    {s.id: s for s in BUILT_IN.strategies.values() if s.family == AttentionOnly.family and MaxOfK.name in s.tasks}
)
get_strategy = BUILT_IN.strategy
