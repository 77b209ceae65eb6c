"""Who may be wrong in the tiny district, from the warehouse that its night left behind."""
from __future__ import annotations

from plumbline.domain import load_domain
from plumbline.localise.warehouse import suspects
from plumbline.rules import load_rules
from plumbline.settings import Settings
from plumbline.warehouse import connect


def test_x(district: Settings) -> None:
    rules = load_rules(district, load_domain(district.domain))
    with connect(district) as con:
        found = suspects(con, rules)
        con.register("found", found)
        con.sql("select rule_id, f.account, found.* exclude (finding_id, hint, reporter, proved) from found join judged.finding f using (finding_id) order by rule_id, slip, rank").show(max_width=300,max_rows=100)
    assert 0
