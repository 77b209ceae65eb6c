"""The families of rules, one Expectation class each."""

from expectations.families.balance import Balance
from expectations.families.bound import Bound
from expectations.families.children_sum import ChildrenSum
from expectations.families.parts_sum import PartsSum
from expectations.families.rate import Rate
from expectations.families.registry_claim import RegistryClaim
from expectations.rule_expectation import RuleExpectation
from plumbline.rules.model import Family

FAMILIES: dict[Family, type[RuleExpectation]] = {
    "children_sum": ChildrenSum,
    "parts_sum": PartsSum,
    "rate": Rate,
    "bound": Bound,
    "balance": Balance,
    "registry_claim": RegistryClaim,
}
