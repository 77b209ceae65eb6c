"""A release's findings as one page that needs nothing but itself: it opens offline, from wherever it is copied to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import jinja2

from plumbline.collect.messages import load_messages
from plumbline.domain import Domain
from plumbline.rules.message import literal

PAGE = "findings.html"
"""The page's name in its release's folder."""

_PER_RULE = 50
_IN_ALL = 1000
"""Findings whose story is told, the widest gaps first: some megabytes. The others are counted, and in fct_finding."""
_WORST = 20
_LINES = 12
"""Observations, and units below, of one finding."""

Row = dict[str, Any]

_UNIT_THEN = (
    "left join dim_org_unit as unit on unit.org_unit_code = {row}.org_unit_code "
    "and unit.valid_from <= period.ends_on and (unit.valid_to is null or unit.valid_to > period.ends_on)"
)
_INDICATOR = "indicator.name as indicator, indicator.name_en as indicator_en"


def write_findings_page(folder: Path, domain: Domain) -> Path:
    """Write the page of the release in ``folder`` from its marts, in the domain's language and in English.

    Told is the whole story of the widest gaps of each rule: both figures, the cells that they come from, the
    units below, the suspects, and what was said. Returns the page's path.
    """
    messages = load_messages(domain)
    with duckdb.connect(str(folder / "marts.duckdb"), read_only=True) as marts:
        marts.execute("set TimeZone = 'UTC'")
        facts = _facts(marts)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template(f"{Path(__file__).stem}.html").render(
        **facts,
        domain=domain.file,
        language=messages.language,
        is_bilingual=messages.language != "en",
        own=messages.texts,
        english=messages.english,
    )
    path = folder / PAGE
    path.write_text(page, encoding="utf-8")
    return path


def _facts(marts: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return what the page shows; the connection gets a temporary table of the findings that it tells."""
    by_status = dict(marts.execute("select status, count(*) from fct_finding group by status").fetchall())
    counts = {status: by_status.get(status, 0) for status in ("open", "explained", "accepted")}
    marts.execute(
        f"""
        create temp table told as
        select finding_id
        from (
            select
                finding_id, rule_id, status, severity, difference,
                row_number() over (
                    partition by rule_id order by status <> 'open', abs(difference) desc nulls last, finding_id
                ) as position
            from fct_finding
        )
        where position <= {_PER_RULE}
        order by position, severity, abs(difference) desc nulls last, finding_id
        limit {_IN_ALL}
        """
    )
    findings = _rows(
        marts,
        f"""
        select finding.*, unit.org_unit_name, {_INDICATOR}, rule.description
        from fct_finding as finding
        join told using (finding_id)
        join dim_period as period using (period)
        join dim_rule as rule using (rule_id)
        left join dim_indicator as indicator using (indicator_id)
        {_UNIT_THEN.format(row="finding")}
        order by finding.severity, finding.status <> 'open', finding.rule_id, abs(difference) desc nulls last,
            finding.period, finding.org_unit_code, finding_id
        """,
    )
    stories = {
        "observations": _observations(marts),
        "children": _children(marts),
        "suspects": _suspects(marts),
        "explanations": _rows(
            marts, "from fct_explanation join told using (finding_id) order by recorded_at desc, record_id"
        ),
    }
    for name, rows in stories.items():
        of_finding: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            of_finding[row["finding_id"]].append(row)
        for finding in findings:
            listed = of_finding[finding["finding_id"]]
            finding[name] = listed
            finding[f"more_{name}"] = listed[0]["lines"] - len(listed) if listed and "lines" in listed[0] else 0
    (release,) = _rows(marts, "select release_id, known_at from release")
    return {
        "release": release,
        "counts": counts | {"all": sum(counts.values())},
        "rules": _rules(marts),
        "worst": sorted(
            (finding for finding in findings if finding["status"] == "open" and finding["difference"] is not None),
            key=lambda finding: -abs(finding["difference"]),
        )[:_WORST],
        "findings": findings,
        "data_sets": sorted({(finding["data_set"],) * 2 for finding in findings}),
        "shown_rules": sorted({(finding["rule_id"],) * 2 for finding in findings}),
    }


def _rules(marts: duckdb.DuckDBPyConnection) -> list[Row]:
    return _rows(
        marts,
        """
        with result as (
            select rule_id, sum(due)::bigint as due, sum(compared)::bigint as compared,
                sum(offending)::bigint as offending
            from fct_rule_result group by rule_id
        ),
        finding as (
            select rule_id, count_if(status = 'open') as open, count(told.finding_id) as shown
            from fct_finding left join told using (finding_id) group by rule_id
        )
        select rule_id, description, severity, coalesce(due, 0) as due, coalesce(compared, 0) as compared,
            coalesce(offending, 0) as offending, coalesce(open, 0) as open, coalesce(shown, 0) as shown
        from dim_rule left join result using (rule_id) left join finding using (rule_id)
        order by open desc, offending desc, rule_id
        """,
    )


def _observations(marts: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return what was reported for a finding's unit: of each figure that its rule reads, the cells of its period."""
    marts.execute(
        """
        create temp table wanted as
        select distinct finding_id, org_unit_code, indicator_id, part.period
        from (
            select
                finding.finding_id, finding.org_unit_code, figure.reads_indicator_id as indicator_id,
                case figure.reads_when
                    when 'previous' then period.previous_period
                    when 'last_year' then period.same_period_last_year
                    else finding.period
                end as period
            from fct_finding as finding
            join told using (finding_id)
            join dim_rule_figure as figure using (rule_id, indicator_id)
            join dim_period as period using (period)
        )
        join dim_period as whole using (period)
        join dim_period as part on part.starts_on >= whole.starts_on and part.ends_on <= whole.ends_on
        """
    )
    return _rows(
        marts,
        f"""
        select wanted.finding_id, {_INDICATOR}, observation.period, observation.reporter, observation.scope,
            observation.printed, observation.submission_id, observation.file_name, observation.sheet, observation.cell,
            count(*) over (partition by wanted.finding_id) as lines
        from fct_observation as observation
        join wanted using (org_unit_code, indicator_id, period)
        join dim_indicator as indicator using (indicator_id)
        where {_are_wanted(marts, "observation")}
        qualify row_number() over (
            partition by wanted.finding_id
            order by observation.scope desc, observation.period, observation.indicator_id, observation.reporter
        ) <= {_LINES}
        order by observation.scope desc, observation.period, observation.indicator_id, observation.reporter
        """,
    )


def _children(marts: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return the totals right below a finding's unit, the largest first, where a finding is about what rolls up."""
    marts.execute(
        """
        create or replace temp table wanted as
        select distinct finding.finding_id, child.org_unit_code, child.org_unit_name,
            figure.reads_indicator_id as indicator_id, finding.period
        from fct_finding as finding
        join told using (finding_id)
        join dim_rule_figure as figure using (rule_id, indicator_id)
        join dim_period as period using (period)
        join dim_org_unit as child
            on child.parent_code = finding.org_unit_code and child.valid_from <= period.ends_on
            and (child.valid_to is null or child.valid_to > period.ends_on)
        where figure.reads_when = 'now'
        """
    )
    return _rows(
        marts,
        f"""
        select wanted.finding_id, wanted.org_unit_code, wanted.org_unit_name, {_INDICATOR}, figure.period,
            figure.total_value, count(*) over (partition by wanted.finding_id) as lines
        from fct_figure as figure
        join wanted using (org_unit_code, indicator_id, period)
        join dim_indicator as indicator using (indicator_id)
        where figure.basis = 'as_reported' and figure.total_value is not null and {_are_wanted(marts, "figure")}
        qualify row_number() over (
            partition by wanted.finding_id order by figure.total_value desc, figure.org_unit_code
        ) <= {_LINES}
        order by figure.total_value desc, figure.org_unit_code
        """,
    )


def _suspects(marts: duckdb.DuckDBPyConnection) -> list[Row]:
    return _rows(
        marts,
        f"""
        select suspect.*, unit.org_unit_name, {_INDICATOR}
        from fct_suspect as suspect
        join told using (finding_id)
        join dim_period as period using (period)
        left join dim_indicator as indicator using (indicator_id)
        {_UNIT_THEN.format(row="suspect")}
        order by suspect.finding_id, slip, rank, suspect.org_unit_code, suspect.indicator_id
        """,
    )


def _are_wanted(marts: duckdb.DuckDBPyConnection, row: str) -> str:
    """Return a condition on constants: the long views then read only the columns and the periods that are asked for."""

    def among(column: str) -> str:
        values = marts.execute(f"select distinct {column} from wanted where {column} is not null").fetchall()
        return f"{row}.{column} in ({_literals(chain.from_iterable(values)) or 'null'})"

    return " and ".join(map(among, ("indicator_id", "period", "org_unit_code")))


def _literals(values: Iterable[str]) -> str:
    return ", ".join(map(literal, values))


def _rows(marts: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    found = marts.execute(query)
    columns = [column[0] for column in found.description]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
