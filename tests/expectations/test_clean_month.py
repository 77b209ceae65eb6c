"""On a month without an error, rules of every family compare thousands of villages and find nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import duckdb
import numpy as np
import pyarrow as pa

from plumbline.rules.model import Family

if TYPE_CHECKING:
    from tests.expectations.conftest import Country

VILLAGES = 20_000
RULES = {
    "cases": {
        "ratio": {"family": "rate", "expression": "closure_rate = closed / received"},
        "growth": {"family": "growth", "expression": "growth = received / previous(received) - 1"},
        "outcomes": {"family": "parts_sum", "expression": "closed = upheld + revoked"},
        "carried_over": {"family": "bound", "expression": "closed <= received + previous(pending)"},
        "pending": {"family": "balance", "expression": "previous(pending) + received = closed + pending"},
        "advisers": {"family": "cumulative", "expression": "previous(has_adviser) <= has_adviser"},
        "band": {"family": "change", "expression": "received = previous(received)", "band": [0.2, 5]},
        "covered": {"family": "registry_claim", "expression": "has_adviser <= registered(org.villages)"},
        "hearings": {"family": "sources_agree", "expression": "heard = budget.spent_other"},
        "one_of": {"family": "exclusive", "figures": ["late", "heard"]},
    },
    "budget": {"both": {"family": "together", "figures": ["spent", "spent_other"]}},
    "every": {"claim_is_sum": {"family": "children_sum"}},
}


def _cut(ratio: Any, truncates: Any) -> Any:
    """Return percentages as forms state them: to one decimal, rounded by some and truncated by others."""
    tenths = np.nan_to_num(ratio, posinf=0) * 1000
    return np.where(truncates, np.trunc(tenths + np.copysign(1e-9, tenths)), np.round(tenths)) / 10


def _months() -> pa.Table:
    """Return two months of villages whose counts are chance, with means from a twentieth to a thousand."""
    random = np.random.default_rng(2024)
    mean = np.exp(random.uniform(np.log(0.05), np.log(1000), VILLAGES))
    truncates = random.random(VILLAGES) < 0.5
    pending = received = np.zeros(VILLAGES, dtype=np.int64)
    months = []
    for period in ("2024-01", "2024-02"):
        before, carried, received = received, pending, random.poisson(mean)
        closed = random.binomial(carried + received, 0.8)
        pending = carried + received - closed
        upheld = random.binomial(closed, 0.5)
        nothing, first = received == 0, period == "2024-01"
        with np.errstate(divide="ignore", invalid="ignore"):
            rate, growth = _cut(closed / received, truncates), _cut(received / before - 1, truncates)
        months.append(
            pa.table(
                {
                    "org_unit_code": [f"v{number}" for number in range(VILLAGES)],
                    "period": [period] * VILLAGES,
                    "received": received,
                    "closed": closed,
                    "upheld": upheld,
                    "revoked": closed - upheld,
                    "pending": pending,
                    "has_adviser": np.ones(VILLAGES, dtype=np.int64),
                    "heard": upheld,
                    "closure_rate": pa.array(rate, mask=nothing),
                    "growth": pa.array(growth, mask=nothing | first | (before == 0)),
                }
            )
        )
    return pa.concat_tables(months)


def test_a_clean_month_raises_no_finding_and_every_family_compares(country: Country) -> None:
    country.rules(**RULES)
    for data_set in ("cases", "budget", "org"):
        country.figures(data_set, [])
    with duckdb.connect(str(country.settings.warehouse)) as con:
        con.register("month", _months())
        # The wide table of the district is the sum of its villages', and it claims just that.
        con.execute(
            """
            create temp table village as from month;
            create temp table district as
            select 'd' as org_unit_code, period, sum(received) as received, sum(closed) as closed,
                sum(upheld) as upheld, sum(revoked) as revoked, sum(pending) as pending,
                sum(has_adviser) as has_adviser, sum(heard) as heard
            from village group by period;
            insert into fct_cases by name
            select * exclude (received), received as received_value, 'as_reported' as basis,
                received as received_own, closed as closed_own, closure_rate as closure_rate_own,
                growth as growth_own, 0 as late_own, heard as heard_own,
                1 as due_village, 1 as received_village, 1 as due_court, 1 as received_court
            from village;
            insert into fct_cases by name
            select * exclude (received), received as received_value, 'as_reported' as basis,
                round(100 * closed / received, 1) as closure_rate_claimed,
                columns(* exclude (org_unit_code, period)) as "\\0_claimed",
                $villages as due_village, $villages as received_village, $villages as due_court,
                $villages as received_court
            from district;
            insert into fct_budget by name
            select org_unit_code, period, 'as_reported' as basis, heard * 2 as spent, heard as spent_other,
                1 as due_court, 1 as received_court
            from fct_cases;
            insert into fct_org by name
            select org_unit_code, period, 'as_reported' as basis, due_village as villages,
                due_village as villages_with_pseudo, due_village as villages_without_pseudo
            from fct_cases;
            """.replace("$villages", str(VILLAGES))
        )
        con.execute("insert into build.work from (values ('cases'), ('budget'), ('org')) as d (data_set), "
                    "(values ('2024-01'), ('2024-02')) as p (period)")  # fmt: skip
    assert country.reconcile().errors == {}
    assert country.findings() == []
    compared: dict[str, int] = {}
    families = dict(country.query("select rule_id, family from judged.rule"))
    for result in country.results():
        family = families[result["rule_id"]]
        compared[family] = compared.get(family, 0) + result["compared"]
    assert set(compared) == set(get_args(Family))
    # A claim is compared with its sum only where there is one: seven indicators of the district, two months.
    assert {family for family, count in compared.items() if count < VILLAGES / 2} == {"children_sum"}
    assert compared["children_sum"] == 14
