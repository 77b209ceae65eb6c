"""From a released figure to the cells that it is made of, and back.

``walk.py`` goes down the tree from the figure to observations, ``cells.py`` reads their cells in the landed files,
``page.py`` and ``text.py`` show what was found.
"""

from plumbline.trace.walk import Cell, Figure, Step, Trace, Tracer

__all__ = ["Cell", "Figure", "Step", "Trace", "Tracer"]
