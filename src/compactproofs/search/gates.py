"""Gates of activations in the readings of `search.workspaces`: plain numbers, and counted operations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from compactproofs.kernel.enclosure import Enclosure
from compactproofs.networks.decoder import functions
from compactproofs.search.cost import Counted


def _plain(gate: Callable[[Any], Any], x: Any) -> Any:
    return gate(Enclosure(x, np.zeros(x.shape))).mid


def _counted(gate: Callable[[Any], Any], x: Counted) -> Counted:
    x.meter.charge(flops=x.size)
    return Counted(gate(x.inner), x.meter)


for _gate in (functions.sigmoid, functions.normal, functions.normal_by_tanh, functions.normal_by_tanh_fast):
    _gate.register(np.ndarray, partial(_plain, _gate))
    _gate.register(Counted, partial(_counted, _gate))
