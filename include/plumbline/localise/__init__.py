"""Who is wrong: from all relations that fail together to the observations that may be the wrong ones."""

from plumbline.localise.repair import Suspect, localise
from plumbline.localise.slips import Hint
from plumbline.localise.system import Cells, System

__all__ = ["Cells", "Hint", "Suspect", "System", "localise"]
