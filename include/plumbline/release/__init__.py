"""Releases: immutable sets of marts, of which one is current.

``gate`` judges the warehouse, ``publish`` (``making.py``) makes a release of it, ``history.py`` what changed since
the one before; ``waiting.py`` lets a person decide on one that changes too much, ``standing.py`` rolls back and
removes what need not be kept, ``diff.py`` compares two.
"""

from plumbline.release.folder import CURRENT, Release, current, find, manifest, open_marts, releases
from plumbline.release.gating import gate
from plumbline.release.making import publish

__all__ = ["CURRENT", "Release", "current", "find", "gate", "manifest", "open_marts", "publish", "releases"]
