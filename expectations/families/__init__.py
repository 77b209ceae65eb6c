"""The families of rules, one Expectation class each."""

from expectations.families.balance import Balance
from expectations.families.bound import Bound
from expectations.families.change import Change
from expectations.families.children_sum import ChildrenSum
from expectations.families.cumulative import Cumulative
from expectations.families.exclusive import Exclusive
from expectations.families.growth import Growth
from expectations.families.parts_sum import PartsSum
from expectations.families.rate import Rate
from expectations.families.registry_claim import RegistryClaim
from expectations.families.sources_agree import SourcesAgree
from expectations.families.together import Together
from expectations.rule_expectation import RuleExpectation
from plumbline.rules.model import Family

FAMILIES: dict[Family, type[RuleExpectation]] = {
    "children_sum": ChildrenSum,
    "parts_sum": PartsSum,
    "rate": Rate,
    "growth": Growth,
    "bound": Bound,
    "balance": Balance,
    "cumulative": Cumulative,
    "change": Change,
    "sources_agree": SourcesAgree,
    "registry_claim": RegistryClaim,
    "together": Together,
    "exclusive": Exclusive,
}
