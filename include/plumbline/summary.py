"""What the night ends with on the terminal: figures beside the claims, coverage, findings, and where to look."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from plumbline.release import CURRENT, find, open_marts
from plumbline.settings import Settings

_SHOWN = 8
"""Rows of a kind that are shown; the rest is counted."""

_UNIT_OF_THE_LEDGER = (
    "join dim_period as period using (period) "
    "join dim_org_unit as unit on unit.org_unit_code = ledger.org_unit_code "
    "and unit.valid_from <= period.ends_on and (unit.valid_to is null or unit.valid_to > period.ends_on)"
)


def print_summary(settings: Settings, console: Console) -> None:
    """Print the current release for a person. Raises StopTheRun when there is none yet."""
    folder = find(settings, None).folder
    with open_marts(folder) as marts:
        _print_claims(marts, console)
        _print_coverage(marts, console)
        _print_findings(marts, console)
        _print_returned(marts, console)
        _print_where(marts, console, settings, folder)


def _print_claims(marts: duckdb.DuckDBPyConnection, console: Console) -> None:
    counts = marts.execute(
        "select any_value(unit.org_unit_name), ledger.org_unit_code, ledger.period, count(*), "
        "count(*) filter (where status = 'reconciled'), count(*) filter (where status = 'explained'), "
        "count(*) filter (where status = 'incomplete'), count(*) filter (where status = 'unexplained') "
        f"from fct_reconciliation as ledger {_UNIT_OF_THE_LEDGER} "
        "group by ledger.org_unit_code, ledger.period order by ledger.org_unit_code, ledger.period"
    ).fetchall()
    table = Table(title="The ledger: claimed totals against what rolls up", title_justify="left")
    table.add_column("unit")
    table.add_column("period")
    for heading in ("claims", "reconciled", "explained", "incomplete", "unexplained"):
        table.add_column(heading, justify="right")
    for name, code, period, *numbers in counts[:_SHOWN]:
        table.add_row(f"{name} {code}", period, *map(str, numbers))
    console.print(table)
    if len(counts) > _SHOWN:
        console.print(f"… and {len(counts) - _SHOWN} more units and periods in fct_reconciliation")
    rows = marts.execute(
        "select unit.org_unit_name, indicator.name || ' / ' || indicator.name_en, ledger.period, "
        "ledger.printed, ledger.reported_total, ledger.rolled_up_total, ledger.status "
        "from fct_reconciliation as ledger join dim_indicator as indicator using (indicator_id) "
        f"{_UNIT_OF_THE_LEDGER} "
        "order by ledger.status in ('reconciled', 'explained'), ledger.rolled_up_total desc limit $limit",
        {"limit": _SHOWN + 4},
    ).fetchall()
    table = Table(title="Figures beside the claims", title_justify="left")
    for heading in ("unit", "indicator", "period"):
        table.add_column(heading)
    table.add_column("claimed", justify="right")
    table.add_column("rolled up", justify="right")
    table.add_column("")
    for unit, indicator, period, printed, claimed, rolled_up, status in rows:
        style = None if status in ("reconciled", "explained") else "yellow"
        table.add_row(unit, indicator, period, printed or _number(claimed), _number(rolled_up), status, style=style)
    console.print(table)


def _number(value: Decimal | None) -> str:
    return "–" if value is None else f"{value.normalize():,f}"


def _print_coverage(marts: duckdb.DuckDBPyConnection, console: Console) -> None:
    due, received, late = marts.execute(
        "select count(*), count(received_at), count(*) filter (where standing = 'late') from fct_due"
    ).fetchall()[0]
    missing = due - received
    share = f"{received / due:.1%}" if due else "nothing was due"
    console.print(
        f"[bold]Coverage[/]  {received:,} of {due:,} submissions due ({share}); {late:,} late, {missing:,} missing"
    )


def _print_findings(marts: duckdb.DuckDBPyConnection, console: Console) -> None:
    compared, rules = marts.execute(
        "select coalesce(sum(compared), 0), count(distinct rule_id) filter (where compared > 0) from fct_rule_result"
    ).fetchall()[0]
    findings = marts.execute(
        "select severity, coalesce(unit.org_unit_name, ''), period, coalesce(message_en, message) "
        "from fct_finding as finding join dim_period as period using (period) left join dim_org_unit as unit "
        "on unit.org_unit_code = finding.org_unit_code and unit.valid_from <= period.ends_on "
        "and (unit.valid_to is null or unit.valid_to > period.ends_on) "
        "where status = 'open' order by severity, abs(difference) desc nulls last"
    ).fetchall()
    console.print(f"[bold]Findings[/]  {len(findings):,} open; {rules:,} rules made {compared:,} comparisons")
    for severity, unit, period, message in findings[:_SHOWN]:
        console.print(f"  [yellow]{severity}[/]  {unit} {period}: {message}")
    if len(findings) > _SHOWN:
        console.print(f"  … and {len(findings) - _SHOWN:,} more in fct_finding")


def _print_returned(marts: duckdb.DuckDBPyConnection, console: Console) -> None:
    returned = marts.execute("select count(*) from fct_submission where status = 'returned'").fetchall()[0][0]
    lines = marts.execute(
        "select file_name, sheet, cell, coalesce(message_en, message) from fct_receipt_line "
        "where severity = 'error' order by all limit $limit",
        {"limit": _SHOWN},
    ).fetchall()
    console.print(f"[bold]Returned[/]  {returned:,} submissions; each has a receipt")
    for *place, message in lines:
        console.print(f"  {' '.join(filter(None, place))}: {message}")


def _print_where(marts: duckdb.DuckDBPyConnection, console: Console, settings: Settings, folder: Path) -> None:
    known_at = marts.execute("select known_at from release").fetchall()[0][0]
    path = settings.releases / CURRENT / "marts.duckdb"
    console.print(f"[bold]Release[/]   {folder.name}, as known at {known_at:%Y-%m-%d %H:%M} UTC")
    console.print(f"          {path}", soft_wrap=True)
    console.print(
        "[bold]Try next[/]  .venv/bin/plumbline findings  what does not reconcile, and by how much\n"
        "          .venv/bin/plumbline receipts  what was returned, to whom and why\n"
        "          make up                       the same nights in Airflow, with its UI"
    )
