"""What was found and what was answered, on the terminal."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from plumbline.cli.show import table
from plumbline.errors import StopTheRun
from plumbline.settings import Settings

app = typer.Typer()


@app.command()
def findings(
    unit: Annotated[str | None, typer.Option(help="Only findings on this org unit.")] = None,
    data_set: Annotated[str | None, typer.Option(help="Only findings on this data set.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only findings of this rule.")] = None,
    status: Annotated[str | None, typer.Option(help="Only these: open, explained or accepted.")] = None,
    limit: Annotated[int, typer.Option(help="Show at most so many.")] = 50,
    page: Annotated[bool, typer.Option("--page", help="Print where the release's page of findings lies.")] = False,
) -> None:
    """List what the current release's figures offend against, hard edits first."""
    from plumbline.findings_page import PAGE
    from plumbline.release import find, open_marts

    folder = find(Settings.from_environment(), None).folder
    if page:
        print(folder / PAGE)
        return
    with open_marts(folder) as marts:
        found = marts.sql(
            "select finding_id, severity, status, period, org_unit_code, rule_id, left_value, right_value, explained, "
            "message from fct_finding where ($unit is null or org_unit_code = $unit) "
            "and ($data_set is null or data_set = $data_set) and ($rule is null or rule_id = $rule) "
            "and ($status is null or status = $status) order by severity, period, org_unit_code, rule_id, finding_id",
            params={"unit": unit, "data_set": data_set, "rule": rule, "status": status},
        )
        table(found, limit, "No findings.")


@app.command()
def receipts(
    limit: Annotated[int, typer.Option(help="Show at most so many.")] = 50,
) -> None:
    """List what was wrong in what was submitted, newest first: whose it is, where it stands, what would be right."""
    import duckdb

    from plumbline.collect.landing import batches

    landed = [str(path) for path in reversed(batches(Settings.from_environment()))]
    if not landed:
        raise StopTheRun("Nothing has landed yet: run `plumbline collect` first")
    with duckdb.connect() as con:
        lines = con.sql(
            "select received_at::date as received, source, sender, line.file_name, sheet, cell, severity, "
            "message, would_be "
            "from read_parquet($lines, file_row_number = true) as line "
            "left join read_parquet($deliveries) as delivery using (delivery_id) "
            "order by list_position($lines, line.filename), line.file_row_number",
            params={
                "lines": [f"{path}/receipt_lines.parquet" for path in landed],
                "deliveries": [f"{path}/deliveries.parquet" for path in landed],
            },
        )
        table(lines, limit, "Nothing was wrong in any submission.")


@app.command()
def due(
    unit: Annotated[str | None, typer.Option(help="Only what this org unit and those below it owe.")] = None,
    data_set: Annotated[str | None, typer.Option(help="Only this form.")] = None,
    limit: Annotated[int, typer.Option(help="Show at most so many.")] = 50,
) -> None:
    """List what is overdue or was returned in the current release: who owes it, since when, and who collects it."""
    import duckdb
    import pyarrow as pa

    from plumbline.chasing import overdue

    found = overdue(Settings.from_environment(), unit, data_set)
    if not found:
        print("Nothing is overdue.")
        return
    rows = duckdb.from_arrow(pa.Table.from_pylist([dataclasses.asdict(item) for item in found]))
    columns = "reporter, org_unit_name, data_set, period, due_on, days_overdue, collected_by, returned"
    table(rows.select(columns), limit, "Nothing is overdue.")
