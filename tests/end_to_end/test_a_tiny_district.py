"""One night of a tiny district (``district.py``), from its inbox to its release, as an analyst then reads it."""

from __future__ import annotations

import pytest

from plumbline.release import current, manifest
from plumbline.settings import Settings
from tests.deployment import table
from tests.end_to_end.nights import Marts, read


@pytest.fixture(scope="module")
def marts(district: Settings) -> Marts:
    release = current(district)
    assert release is not None
    return read(release)


def test_the_findings_are_the_planted_errors_and_no_others(marts: Marts) -> None:
    found = marts.rows(
        "select rule_id, family, severity, org_unit_code, indicator_id, period, account, left_value, right_value, "
        "difference, status from fct_finding join dim_rule using (rule_id, rule_version, severity) order by family"
    )
    assert [row.pop("family") for row in found] == [
        "balance", "bound", "children_sum", "parts_sum", "rate", "registry_claim"
    ]  # fmt: skip
    assert found == table("""
        rule_id                           severity  org_unit_code  indicator_id              period   account  left_value  right_value  difference  status
        mediation.cases_carry_over        hard      V21            mediation.closed          2024-02  total    9           8            1           open
        training.attended_within_invited  soft      T1             training.attended         2024-03  total    21          20           1           open
        legal_aid.claim_is_sum            soft      D              legal_aid.advised         2024-Q1  claimed  130         120          10          open
        legal_aid.criminal_and_civil      soft      D              legal_aid.cases           2024-02  total    12          11           1           open
        training.attendance_is_ratio      soft      D              training.attendance_rate  2024-Q1  claimed  95          91.304348    3.695652    open
        org.villages_as_registered        soft      D              org.villages              2024-Q1  claimed  7           6            1           open
    """)  # noqa: E501


def test_a_finding_speaks_to_the_submitter_in_the_domains_language_and_in_english(marts: Marts) -> None:
    (found,) = marts.rows("select message, message_en from fct_finding where indicator_id = 'org.villages'")
    assert found == {
        "message": "填报7个,登记6个(不含虚拟单位5个)。",
        "message_en": "7 claimed, 6 registered, 5 without pseudo-units.",
    }


def test_the_suspects_of_a_finding_name_the_planted_cell(marts: Marts) -> None:
    assert marts.rows(
        "select rule_id, slip, rank, suspect.org_unit_code, suspect.indicator_id, suspect.period, scope, reporter, "
        "value, would_be from fct_suspect as suspect join fct_finding using (finding_id) "
        "order by rule_id, slip, rank, suspect.period, suspect.indicator_id"
    ) == table("""
        rule_id                           slip  rank  org_unit_code  indicator_id              period   scope  reporter          value  would_be
        legal_aid.claim_is_sum            1     1     D              legal_aid.advised         2024-01  own    D:justice_bureau  40     50
        legal_aid.claim_is_sum            1     1     D              legal_aid.advised         2024-02  own    D:justice_bureau  35     45
        legal_aid.claim_is_sum            1     1     D              legal_aid.advised         2024-Q1  total  D                 130    120
        legal_aid.claim_is_sum            1     4     D              legal_aid.advised         2024-03  own    D:justice_bureau  45     55
        legal_aid.criminal_and_civil      1     1     D              legal_aid.civil           2024-02  own    D:justice_bureau  4      5
        legal_aid.criminal_and_civil      1     2     D              legal_aid.criminal        2024-02  own    D:justice_bureau  7      8
        mediation.cases_carry_over        1     1     V21            mediation.closed          2024-02  own    V21               5      4
        mediation.cases_carry_over        1     2     V21            mediation.opened          2024-02  own    V21               5      6
        org.villages_as_registered        1     1     D              org.villages              2024-Q1  total  D                 7      6
        training.attendance_is_ratio      1     1     D              training.attendance_rate  2024-Q1  total  D                 95     90.46
        training.attended_within_invited  2     1     T1             training.attended         2024-03  own    T1                21     20
        training.attended_within_invited  2     1     T1             training.invited          2024-03  own    T1                20     21
    """)  # noqa: E501


def test_every_rule_compared_something(marts: Marts) -> None:
    compared = marts.rows(
        "select rule_id, sum(compared) as compared, sum(offending) as offending from fct_rule_result "
        "group by rule_id having sum(due) > 0 order by rule_id"
    )
    assert compared == table("""
        rule_id                           compared  offending
        legal_aid.claim_is_sum            2         1
        legal_aid.criminal_and_civil      3         1
        mediation.cases_carry_over        15        1    # not V91 with its nil return, which leaves pending open
        mediation.claim_is_sum            1         0    # T1's; the district's is incomplete
        mediation.settled_within_closed   35        0    # nor what rolled up where V22 is missing
        org.townships_as_registered       1         0
        org.villages_as_registered        1         1
        training.attendance_is_ratio      1         1
        training.attended_within_invited  16        1
    """)


def test_villages_roll_up_to_the_district_and_months_to_the_quarter(marts: Marts) -> None:
    assert marts.rows(
        "select org_unit_code, period, opened, closed, settled, pending, success_rate, due, received, status "
        "from fct_mediation where org_unit_code not like 'V%' order by all"
    ) == table("""
        org_unit_code  period   opened  closed  settled  pending  success_rate  due  received  status
        D              2024-01  21      17      16       4        94.1176       6    6         complete
        D              2024-02  16      15      13       6        86.6667       6    6         complete
        D              2024-03  13      16      15       3        93.75         6    5         partial
        D              2024-Q1  50      48      44       3        91.6667       18   17        partial
        T1             2024-01  8       7       6        1        85.7143       2    2         complete
        T1             2024-02  6       6       5        1        83.3333       2    2         complete
        T1             2024-03  7       8       8        0        100           2    2         complete
        T1             2024-Q1  21      21      19       0        90.4762       6    6         complete
        T2             2024-01  13      10      10       3        100           3    3         complete
        T2             2024-02  9       8       7        5        87.5          3    3         complete
        T2             2024-03  4       7       6        2        85.7143       3    2         partial
        T2             2024-Q1  26      25      23       2        92            9    8         partial
        T9             2024-01  0       0       0        -        -             1    1         complete
        T9             2024-02  1       1       1        0        100           1    1         complete
        T9             2024-03  2       1       1        1        100           1    1         complete
        T9             2024-Q1  3       2       2        1        100           3    3         complete
    """)


def test_a_figure_says_what_it_is_made_of(marts: Marts) -> None:
    assert marts.rows(
        "select org_unit_code, indicator_id, own_value, children_value, total_value, numerator, denominator, "
        "reported_total, due, received, coverage from fct_figure where period = '2024-Q1' "
        "and (org_unit_code, indicator_id) in (('V22', 'mediation.opened'), ('T2', 'mediation.success_rate'), "
        "('D', 'mediation.opened'), ('D', 'legal_aid.cases'), ('D', 'org.villages')) order by all"
    ) == table("""
        org_unit_code  indicator_id            own_value  children_value  total_value  numerator  denominator  reported_total  due  received  coverage
        D              legal_aid.cases         38         -               38           -          -            38              3    3         1
        D              mediation.opened        -          50              50           -          -            50              18   17        0.944444
        D              org.villages            -          -               6            -          -            7               0    0         -
        T2             mediation.success_rate  -          -               92           23         25           -               9    8         0.888889
        V22            mediation.opened        3          -               3            -          -            -               3    2         0.666667
    """)  # noqa: E501


def test_a_held_figure_stays_in_the_totals_and_every_unit_above_counts_it(marts: Marts) -> None:
    assert marts.rows(
        "select org_unit_code, total_value, status, open_findings, held_below from fct_figure "
        "where indicator_id = 'mediation.closed' and period = '2024-02' order by all"
    ) == table("""
        org_unit_code  total_value  status    open_findings  held_below
        D              15           complete  0              1
        T1             6            complete  0              0
        T2             8            complete  0              1
        T9             1            complete  0              0
        V11            5            complete  0              0
        V12            1            complete  0              0
        V21            5            held      1              0    # 5 of the 8 of T2
        V22            1            complete  0              0
        V23            2            complete  0              0
        V91            1            complete  0              0
    """)


def test_the_ledger_compares_each_claim_with_what_rolls_up_and_names_who_is_missing(marts: Marts) -> None:
    assert marts.rows(
        "select org_unit_code, indicator_id, printed, reported_total, rolled_up_total, difference, unexplained, "
        "missing_units, status from fct_reconciliation order by all"
    ) == table("""
        org_unit_code  indicator_id       printed  reported_total  rolled_up_total  difference  unexplained  missing_units  status
        D              legal_aid.advised  -        130             120              10          10           -              unexplained
        D              legal_aid.cases    -        38              38               0           0            -              reconciled
        D              mediation.opened   50余     50              50               0           0            V22            incomplete
        D              org.townships      -        2               2                0           0            -              reconciled
        D              org.villages       -        7               6                1           1            -              unexplained
        T1             mediation.opened   -        21              21               0           0            -              reconciled
    """)  # noqa: E501


def test_an_observation_says_where_it_stood_in_what_was_sent(marts: Marts) -> None:
    assert marts.rows(
        "select org_unit_code, reporter, indicator_id, period, scope, value, printed, file_name, sheet, cell "
        "from fct_observation where (reporter, indicator_id, period) in (('V23', 'mediation.settled', '2024-01'), "
        "('V91', 'mediation.opened', '2024-03'), ('D:justice_bureau', 'legal_aid.civil', '2024-02'), "
        "('T9', 'training.attended', '2024-02'), ('D', 'mediation.opened', '2024-Q1')) order by all"
    ) == table("""
        org_unit_code  reporter          indicator_id       period   scope  value  printed  file_name          sheet  cell
        D              D                 mediation.opened   2024-Q1  total  50     50余     D_2024-Q1.csv      -      B2
        D              D:justice_bureau  legal_aid.civil    2024-02  own    4      4        2024-02.csv        -      B4
        T9             T9                training.attended  2024-02  own    8      8        training.csv       -      D9
        V23            V23               mediation.settled  2024-01  own    5      5        2024-01/T2-2.xlsx  调解   D3
        V91            V91               mediation.opened   2024-03  own    2      2        2024-03/T9.xlsx    调解   B3
    """)  # noqa: E501


def test_a_returned_row_has_a_receipt_and_all_else_in_its_workbook_was_taken(marts: Marts) -> None:
    assert marts.rows(
        "select file_name, sheet, cell, severity, code, reporter, message, message_en "
        "from fct_receipt_line join fct_submission using (submission_id, file_name, sheet)"
    ) == [
        {
            "file_name": "2024-01/T2.xlsx", "sheet": "调解", "cell": "D5", "severity": "error",
            "code": "mediation.settled_within_closed", "reporter": "V23",
            "message": "成功6件多于办结5件。", "message_en": "6 settled of 5 closed.",
        }
    ]  # fmt: skip
    assert marts.rows(
        "select reporter, status from fct_submission where file_name = '2024-01/T2.xlsx' order by reporter"
    ) == table("""
        reporter  status
        V21       accepted
        V22       accepted
        V23       returned
    """)


def test_a_submission_keeps_its_versions(marts: Marts) -> None:
    assert marts.rows(
        "select reporter, period, version, action, status, received_at, file_name from fct_submission "
        "where (reporter, period) in (('V11', '2024-02'), ('V23', '2024-01'), ('V91', '2024-01')) "
        "order by reporter, received_at"
    ) == table("""
        reporter  period   version  action  status      received_at       file_name
        V11       2024-02  1        report  superseded  2024-03-01T01:00  2024-02/T1.xlsx
        V11       2024-02  2        report  accepted    2024-04-15T01:00  2024-02/T1-2.xlsx
        V23       2024-01  -        report  returned    2024-02-02T01:00  2024-01/T2.xlsx
        V23       2024-01  1        report  accepted    2024-02-04T01:00  2024-01/T2-2.xlsx
        V91       2024-01  1        nil     accepted    2024-02-05T01:00  2024-01/T9.xlsx
    """)


def test_what_was_due_came_on_time_late_or_not_at_all(marts: Marts) -> None:
    assert marts.rows(
        "select data_set, standing, count(*) as submissions from fct_due group by all order by all"
    ) == table("""
        data_set   standing  submissions
        legal_aid  on_time   3
        mediation  late      1
        mediation  on_time   16
        mediation  overdue   1
        training   on_time   9
    """)
    assert marts.rows(
        "select reporter, period, due_on, received_at, standing from fct_due where standing <> 'on_time' order by all"
    ) == table("""
        reporter  period   due_on      received_at       standing
        V22       2024-03  2024-04-05  -                 overdue
        V91       2024-02  2024-03-05  2024-03-09T01:00  late
    """)


def test_a_change_is_against_the_month_before(marts: Marts) -> None:
    assert marts.rows(
        "select org_unit_code, period, total_value, previous_period_value, month_on_month, year_on_year "
        "from fct_change where indicator_id = 'mediation.opened' and org_unit_code = 'T1' order by all"
    ) == table("""
        org_unit_code  period   total_value  previous_period_value  month_on_month  year_on_year
        T1             2024-01  8            -                      -               -
        T1             2024-02  6            8                      -25             -
        T1             2024-03  7            6                      16.6667         -
        T1             2024-Q1  21           -                      -               -
    """)


def test_the_parquet_parts_hold_what_the_marts_hold(marts: Marts, district: Settings) -> None:
    release = current(district)
    assert release is not None
    counts = manifest(release)["row_counts"]
    for name, count in counts.items():
        parts = f"'{release}/tables/{name}/*.parquet'"
        schema = "main" if name.startswith(("dim_", "fct_")) else "beneath"
        assert marts.con.execute(f"select count(*) from {parts}").fetchone() == (count,)
        assert not marts.con.execute(f"from {schema}.{name} except all from {parts}").fetchall(), name
    assert counts["fct_mediation"] == 40
