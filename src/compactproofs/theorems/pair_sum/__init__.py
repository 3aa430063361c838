"""Theorems about networks of two arguments and any table of right outputs."""

from typing import TypeAlias

from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import Pairs

#: What these theorems are about, and what their programs compute on.
PairProblem: TypeAlias = Problem[PairSum, Pairs]
Work: TypeAlias = Workspace[PairSum, Pairs]
