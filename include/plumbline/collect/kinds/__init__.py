"""The kinds of source: a module each, whose name is what contracts say (``kind: sql`` is ``sql.py``).

A module has a class ``Contract``: the keys that such a contract has beside those of every source, and
``deliveries``, which yields what has not landed yet. Nothing lists the modules: a new kind is a new file.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from plumbline.collect.contract import Source


def kinds() -> list[str]:
    """Return the names of all kinds, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def contract_of(kind: str) -> type[Source]:
    """Return the shape of the contracts of ``kind``, which must be one of ``kinds()``."""
    contract: type[Source] = import_module(f"{__name__}.{kind}").Contract
    return contract
