"""What these theorems are about, and what their programs compute on."""

from typing import TypeAlias

from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import Pairs

PairProblem: TypeAlias = Problem[PairSum, Pairs]
Work: TypeAlias = Workspace[PairSum, Pairs]
