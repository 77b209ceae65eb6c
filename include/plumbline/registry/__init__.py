"""The registry: the dated administrative tree, its changes, and the offices that report for its units.

All are CSV files in the domain's ``registry/`` folder and may hold a whole country (660,000 units), so they are
read, checked and compared as tables, never unit by unit. A row that is written by an import or by a review says
when that was recorded; a later row for the same unit and day takes the place of an earlier one, and none is
taken away, so that the tree can be read as it was known at any moment.
"""

from plumbline.registry.crosswalk import crosswalk
from plumbline.registry.files import read_changes, read_offices, read_org_units

__all__ = ["crosswalk", "read_changes", "read_offices", "read_org_units"]
