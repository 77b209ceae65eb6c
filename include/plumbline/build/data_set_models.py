"""The dbt models of a domain's data sets, written from their YAML files.

Each data set has four models, a line of SQL each that calls a macro, with a ``.yml`` beside them that documents
every column: ``obs_<data_set>`` (accepted observations), ``sum_<data_set>`` (what they roll up to),
``restated_<data_set>`` (what is different on another tree) and ``fct_<data_set>`` (the figures: a view over the
three). Three more models are long, over all data sets.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from plumbline.domain import ADDITIVE, NAME, DataSet, Domain, Indicator, load_domain
from plumbline.errors import StopTheRun
from plumbline.settings import Settings

MARK = "written by `plumbline data-set sync` from the data set's YAML: edit that"
_LONG_VIEWS = "long_views"


def column_type(domain: Domain, indicator: Indicator) -> str:
    """Return the SQL type of an indicator's values: exact decimals, and double for a rate."""
    if indicator.kind == "rate":
        return "double"
    return f"decimal(18, {domain.file.units_of_measure[indicator.unit].decimals})"


def sync(settings: Settings) -> list[Path]:
    """Write the models of every data set and remove those of data sets that are gone.

    Returns the files that changed. Raises StopTheRun when a file in their place was written by hand.
    """
    domain = load_domain(settings.domain)
    wanted = {settings.data_set_models / relative: content for relative, content in model_files(domain).items()}
    standing = sorted(path for path in settings.data_set_models.rglob("*") if path.is_file())
    for path in standing:
        if MARK not in path.read_text(encoding="utf-8"):
            raise StopTheRun(f"{path} was not written by `plumbline data-set sync`; move it elsewhere")
    changed = [path for path in standing if path not in wanted]
    for path in changed:
        path.unlink()
    for path, content in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            changed.append(path)
    for folder in settings.data_set_models.glob("*/"):
        if not any(folder.iterdir()):
            shutil.rmtree(folder)
    return changed


def new(settings: Settings, name: str) -> Path:
    """Write a first YAML for a data set called ``name`` and return its path; it is there to be filled in.

    Raises StopTheRun when the name is taken or cannot be a table's.
    """
    path = settings.domain / "data_sets" / f"{name}.yml"
    if not NAME.fullmatch(name):
        raise StopTheRun(f"{name!r} cannot name a table: use lower-case letters, digits and _")
    if path.exists():
        raise StopTheRun(f"{path} is there already")
    domain = load_domain(settings.domain)
    first_kind = next(iter(domain.file.reporter_kinds))
    first_unit = next(iter(domain.file.units_of_measure))
    content = {
        "name": name,
        "name_en": name.replace("_", " ").capitalize(),
        "reporters": [first_kind],
        "frequency": "month",
        "due_days": 5,
        "indicators": {
            "cases": {
                "name": "cases",
                "name_en": "Cases",
                "unit": first_unit,
                "kind": "flow",
                "definition": "What is counted, as of when, and what is not.",
            }
        },
    }
    path.write_text(_dump(content), encoding="utf-8")
    return path


def model_files(domain: Domain) -> dict[Path, str]:
    """Return the content of every model file, by path relative to the models' folder."""
    files: dict[Path, str] = {}
    for name, data_set in domain.data_sets.items():
        folder = Path(name)
        files[folder / f"obs_{name}.sql"] = _sql(f"accepted_observations('{name}')")
        files[folder / f"obs_{name}.yml"] = _yml(_observations(domain, data_set))
        files[folder / f"sum_{name}.sql"] = _sql(f"roll_up('{name}')")
        files[folder / f"sum_{name}.yml"] = _yml(_sums(data_set))
        files[folder / f"restated_{name}.sql"] = _sql(f"restate('{name}')")
        files[folder / f"restated_{name}.yml"] = _yml(_restated(data_set))
        files[folder / f"fct_{name}.sql"] = _sql(f"figures('{name}')")
        files[folder / f"fct_{name}.yml"] = _yml(_figures(domain, data_set))
    listed = "[\n" + "".join(f"    '{name}',\n" for name in domain.data_sets) + "]"
    views = Path(_LONG_VIEWS)
    files[views / "int_figure.sql"] = _sql(f"figures_long({listed})")
    files[views / "int_figure.yml"] = _yml(
        {
            "name": "int_figure",
            "description": "One row per org unit, indicator, period and basis: every figure of every data set.",
            "config": {"meta": {"release": "by_period_or_view"}},
        }
    )
    files[views / "int_restated_figure.sql"] = _sql(f"restated_figures_long({listed})")
    files[views / "int_restated_figure.yml"] = _yml(
        {
            "name": "int_restated_figure",
            "description": "One row per org unit, indicator and period whose figure is another on another tree.",
            "config": {"meta": {"release": "by_period", "parquet": "none"}},
        }
    )
    files[views / "int_observation.sql"] = _sql(f"observations_long({listed})")
    files[views / "int_observation.yml"] = _yml(
        {
            "name": "int_observation",
            "description": "One row per reporter, org unit, indicator, period and scope with an accepted value.",
            "config": {"meta": {"release": "view"}},
        }
    )
    return files


def _sql(call: str) -> str:
    return f"-- {MARK}\n{{{{ {call} }}}}\n"


def _yml(model: dict[str, Any]) -> str:
    return f"# {MARK}\n{_dump({'models': [model]})}"


def _dump(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=110)


def _described(domain: Domain, indicator: Indicator) -> str:
    unit = domain.file.units_of_measure[indicator.unit].name_en
    return f"{indicator.name} / {indicator.name_en} ({unit}, {indicator.kind}): {indicator.definition}"


def _observations(domain: Domain, data_set: DataSet) -> dict[str, Any]:
    keys = {
        "submission_id": "The submission that states these values.",
        "reporter": "Who submitted.",
        "org_unit_code": "The org unit that the values are about.",
        "period": "The period that they are for.",
        "scope": "`own` account, or the `total` that the unit claims.",
        "stands_alone": "Whether it is all of its unit's figures: nothing else is due, claimed or below.",
    }
    for group, owed in data_set.groups.items():
        keys[f"due_{group}"] = f"1 where it stands alone and was due from {', '.join(owed.reporters)}; null elsewhere."
    return {
        "name": f"obs_{data_set.data_set}",
        "description": (
            f"One row per reporter, org unit, period and scope: the accepted observations of {data_set.name} "
            f"/ {data_set.name_en}."
        ),
        "config": {"meta": {"release": "by_period", "data_set": data_set.data_set}},
        "data_tests": [{"one_row_per": {"arguments": {"columns": ["reporter", "org_unit_code", "period", "scope"]}}}],
        "columns": [
            *({"name": name, "description": description} for name, description in keys.items()),
            *(
                {"name": name, "description": _described(domain, indicator)}
                for name, indicator in data_set.indicators.items()
            ),
        ],
    }


def _sums(data_set: DataSet) -> dict[str, Any]:
    return {
        "name": f"sum_{data_set.data_set}",
        "description": (
            f"One row per org unit and period whose figures are more than one observation that stands alone: what "
            f"fct_{data_set.data_set}, which documents the columns, adds to those."
        ),
        "config": {"meta": {"release": "by_period", "parquet": "none", "data_set": data_set.data_set}},
    }


def _restated(data_set: DataSet) -> dict[str, Any]:
    return {
        "name": f"restated_{data_set.data_set}",
        "description": (
            f"One row per org unit and period whose figures are others on the tree that they are restated on: what "
            f"fct_{data_set.data_set}, which documents the columns, has with the basis `restated`."
        ),
        "config": {"meta": {"release": "by_period", "parquet": "none", "data_set": data_set.data_set}},
        "data_tests": [{"one_row_per": {"arguments": {"columns": ["org_unit_code", "period"]}}}],
    }


def _figures(domain: Domain, data_set: DataSet) -> dict[str, Any]:
    columns = {
        "org_unit_code": "The org unit.",
        "period": "The period: a month, quarter, half-year or year.",
        "basis": "`as_reported`: on the tree of the period's last day; `restated`, where it differs: on a later tree.",
    }
    for name, indicator in data_set.indicators.items():
        columns[data_set.figure_column(name)] = _described(domain, indicator)
        columns |= _figure_columns(name, indicator)
    columns |= {
        "due": "Submissions of this data set that were due from the unit and all below it.",
        "received": "Those of them that arrived and were accepted.",
    }
    for group, owed in data_set.groups.items():
        reporters = ", ".join(owed.reporters)
        columns[f"due_{group}"] = f"Submissions due of the group reported by {reporters}, each {owed.frequency}."
        columns[f"received_{group}"] = "Those of them that arrived and were accepted."
    columns |= {
        "coverage": "received ÷ due; null where nothing was due.",
        "status": "`complete`, `partial`, `missing` or `not_applicable`, by what was due and what arrived.",
    }
    return {
        "name": f"fct_{data_set.data_set}",
        "description": (
            f"One row per org unit, period and basis: {data_set.name} / {data_set.name_en}, rolled up the "
            "tree. An indicator's own column is its total."
        ),
        "config": {
            "meta": {
                "release": "view",
                "parquet": "by_period",
                "data_set": data_set.data_set,
                **({"signed_off": True} if data_set.sign_off else {}),
                "groups": list(data_set.groups),
                "indicators": [_meta(domain, data_set, name) for name in data_set.indicators],
            }
        },
        "data_tests": [{"one_row_per": {"arguments": {"columns": ["org_unit_code", "period", "basis"]}}}],
        "columns": [{"name": name, "description": description} for name, description in columns.items()],
    }


def _figure_columns(name: str, indicator: Indicator) -> dict[str, str]:
    columns = {}
    if indicator.kind == "registry":
        columns[f"{name}_with_pseudo"] = "The registry's count, pseudo-units included."
        columns[f"{name}_without_pseudo"] = "The registry's count, pseudo-units set apart."
    else:
        columns[f"{name}_own"] = "The sum over the unit's own reporters, or what they stated."
    if indicator.kind in ADDITIVE:
        columns[f"{name}_children"] = "The sum of the children's totals."
    columns[f"{name}_claimed"] = "What the unit claims with everything below it; never part of a sum."
    return columns


def _meta(domain: Domain, data_set: DataSet, name: str) -> dict[str, Any]:
    indicator = data_set.indicators[name]
    meta: dict[str, Any] = {
        "name": name,
        "column": data_set.figure_column(name),
        "kind": indicator.kind,
        "additive": indicator.kind in ADDITIVE,
        "type": column_type(domain, indicator),
    }
    group = data_set.group_of(name)
    if group:
        meta["group"] = group
    if indicator.numerator:
        meta["numerator"] = indicator.numerator
        meta["denominator"] = indicator.denominator
        meta["scale"] = domain.file.units_of_measure[indicator.unit].ratio_scale
    if indicator.counts:
        meta["counts_level"] = indicator.counts.level
        meta["counts_pseudo"] = indicator.counts.pseudo
    return meta
