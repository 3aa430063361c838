"""A plug-in for compactproofs: how often does an attention-only transformer name the smallest of its tokens?"""

from compactproofs.plugins import Companion, Plugin
from compactproofs_min_of_k.brute_force import BRUTE_FORCE, operations
from compactproofs_min_of_k.task import MinOfK, min_of_k

#: What compactproofs finds under this distribution's entry point.
PLUGIN = Plugin(
    strategies=(BRUTE_FORCE,),
    tasks={MinOfK.name: MinOfK.of_record},
    companions={
        BRUTE_FORCE.id: Companion(
            task=min_of_k,
            work=operations,
            unexplained_dimension=lambda problem: problem.task.total * problem.task.d_vocab,
            complexity="O(v^{K+1} K)",
            summary="the smallest token: every input is its own case",
            stated_in="compactproofs_min_of_k.brute_force",
        )
    },
)
