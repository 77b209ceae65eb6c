"""A small country that counts what its libraries do: a domain with every kind of indicator and of reporter."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from plumbline.settings import Settings
from tests.deployment import table, write_deployment
from tests.landing import land

DOMAIN = """
name: Čtení
name_en: Reading
languages: [cs, en]
time_zone: Pacific/Auckland
unit_code: '[A-Za-z0-9_]+'
levels:
  - {level: state, name: stát, name_en: state}
  - {level: province, name: kraj, name_en: province}
  - {level: county, name: okres, name_en: county}
  - {level: parish, name: obec, name_en: parish}
periods: {first: 2024-01, last: 2024-12}
units_of_measure:
  svazek: {name_en: volumes, dimension: volume}
  kus: {name_en: pieces, dimension: piece}
  osoba: {name_en: persons, dimension: person}
  koruna: {name_en: crowns, dimension: money, decimals: 2}
  "%": {name_en: per cent, dimension: ratio, decimals: 2, ratio_scale: 100}
  bod: {name_en: points, dimension: score, decimals: 2}
reporter_kinds:
  parish: {level: parish, name: obec, name_en: parish}
  county: {level: county, name: okres, name_en: county}
  branch: {level: parish, name: pobočka, name_en: branch library, office: true}
  archive: {level: county, name: archiv, name_en: archive, office: true}
"""

LIBRARY = """
name: Knihovny
name_en: Libraries
reporters: [parish, county, branch]
indicators:
  loans: {name: Výpůjčky, name_en: Loans, unit: svazek, kind: flow, definition: Volumes lent.}
  renewed: {name: Prodlouženo, name_en: Renewed, unit: svazek, kind: flow, part_of: loans,
            definition: Of the loans those renewed.}
  renewal_rate: {name: Podíl prodloužení, name_en: Renewal rate, unit: "%", kind: rate, numerator: renewed,
                 denominator: loans, definition: Renewed loans in per cent of the loans.}
  books: {name: Knihy, name_en: Books, unit: svazek, kind: stock, definition: Volumes held at the end.}
  open: {name: Otevřeno, name_en: Open, unit: kus, kind: flag, definition: 1 where a library is open at the end.}
  readers: {name: Čtenáři, name_en: Readers, unit: osoba, kind: distinct, definition: Persons who borrowed.}
  satisfaction: {name: Spokojenost, name_en: Satisfaction, unit: bod, kind: rate, definition: As a survey found.}
  received: {name: Příjmy, name_en: Received, unit: koruna, kind: flow, definition: Fees received.}
"""

BUILDINGS = """
name: Budovy
name_en: Buildings
reporters: [parish]
indicators:
  visits: {name: Návštěvy, name_en: Visits, unit: osoba, kind: flow, definition: Visits.}
  rare: {name: Rara, name_en: Rare volumes, unit: svazek, kind: stock, reporters: [archive], frequency: year,
         definition: Rare volumes held at the end of the year.}
"""

PLACES = """
name: Místa
name_en: Places
reporters: []
frequency: year
indicators:
  parishes: {name: Obce, name_en: Parishes, unit: kus, kind: registry, counts: {level: parish},
             definition: Parishes.}
  true_parishes: {name: Skutečné obce, name_en: True parishes, unit: kus, kind: registry,
                  counts: {level: parish, pseudo: false}, definition: Parishes without pseudo-units.}
"""

DATA_SETS = {"library": LIBRARY, "buildings": BUILDINGS, "places": PLACES}

PARISHES = table("""
    org_unit_code  parent_code  level
    Province       -            province
    County         Province     county
    A              County       parish
    B              County       parish
""")

FIRST_QUARTER = {
    "library": table("""
        org_unit_code  period   scope  loans                   books
        A              2024-01  own    1                       100
        B              2024-01  own    20                      200
        A              2024-02  own    2                       101
        B              2024-02  own    30                      201
        A              2024-03  own    3                       102
        County         2024-02  own    500                     7
        Province       2024-01  total  21                      -
        Province       2024-02  total  500|500+|500|599        -
        Province       2024-03  total  60                      -
    """),
    "buildings": table("""
        org_unit_code  period   visits
        A              2024-01  9
        B              2024-01  8
    """),
}
"""What has landed by 8 April: B owes its libraries for March, and the county most of its own."""

LANDED_AT = datetime(2024, 4, 8, 3, tzinfo=UTC)
KNOWN_AT = datetime(2024, 4, 10, 3, tzinfo=UTC)
"""The night of the first release."""


def write_reading(folder: Path) -> Settings:
    """Write the country below ``folder``, with its first quarter landed."""
    settings = write_deployment(folder, domain=DOMAIN, data_sets=DATA_SETS, org_units=PARISHES)
    land(settings, FIRST_QUARTER, LANDED_AT)
    return settings
