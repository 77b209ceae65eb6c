"""Rules: the relations that must hold between figures, as data, and how they are compared."""

from plumbline.rules.in_form import Offence, offences_in_form
from plumbline.rules.model import Rule, Rules, load_rules

__all__ = ["Offence", "Rule", "Rules", "load_rules", "offences_in_form"]
