"""What is loaded before the fork counts no references from then on (PEP 683): to use it writes into no page of memory.

Python keeps the count in the object itself: without this a worker that merely calls functions soon has its own copy of
each page they lie in.
"""

import ctypes
import gc
import sys
from collections.abc import Iterable
from types import CodeType
from typing import Any

_IMMORTAL = 2**32 - 1  # the half of `ob_refcnt` that Python looks at


def immortalise() -> None:
    """All objects there are, once, before the fork: they are never freed. Nothing where Python is older than 3.12."""
    if sys.getrefcount(None) != _IMMORTAL:
        return
    left = gc.get_objects()
    while left:
        one = left.pop()
        if sys.getrefcount(one) != _IMMORTAL:
            ctypes.c_uint32.from_address(id(one)).value = _IMMORTAL
            left += _parts(one)


def _parts(one: object) -> Iterable[Any]:
    """What it holds; code alone does not say so to the collector."""
    if type(one) is CodeType:
        return one.co_consts, one.co_names, one.co_name, one.co_qualname
    return gc.get_referents(one)
