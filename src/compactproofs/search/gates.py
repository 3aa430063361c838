"""The functions of decoders in the readings of `search.workspaces`: plain numbers, and counted operations."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from compactproofs.kernel.enclosure import Enclosure
from compactproofs.networks.decoder import functions
from compactproofs.search.cost import Counted


def _plain(gate: Any, x: Any) -> Any:
    return gate(Enclosure(x, np.zeros(x.shape))).mid


def _counted(gate: Any, x: Counted) -> Counted:
    x.meter.charge(flops=x.size)
    return Counted(gate(x.inner), x.meter)


_FUNCTIONS: set[Any] = {*functions.GATES.values(), functions.of_either_sign}
for _gate in _FUNCTIONS:
    _gate.register(np.ndarray, partial(_plain, _gate))
    _gate.register(Counted, partial(_counted, _gate))
