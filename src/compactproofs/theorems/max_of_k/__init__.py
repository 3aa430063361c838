"""Theorems about the largest of K tokens, in tiers: the core first."""

from typing import TypeAlias

from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import MaxOfK

#: What these theorems are about, and what their programs compute on.
MaxProblem: TypeAlias = Problem[AttentionOnly, MaxOfK]
Work: TypeAlias = Workspace[AttentionOnly, MaxOfK]
