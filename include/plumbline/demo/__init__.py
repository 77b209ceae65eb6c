"""The demo: a year of submissions as they would really arrive, made from figures that were published.

``<domain>/demo/`` holds what it is made from: ``published.csv``, the figures; ``apportion.yml``, how they
fall apart; ``deliveries.yml``, how the parts arrive. What places published is real; what villages, offices
and months contributed to it is an apportionment.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from plumbline.collect.contract import carried_data_sets, load_source
from plumbline.demo.apportion import own_accounts
from plumbline.demo.files import write_source
from plumbline.demo.parcels import parcels
from plumbline.demo.plan import Apportionment, Deliveries, read_published
from plumbline.demo.tree import Tree
from plumbline.domain import load_domain
from plumbline.settings import Settings
from plumbline.yaml_file import read_yaml


def write_demo(settings: Settings) -> Path:
    """Write the demo's files below ``settings.inbox``, which is returned; the same bytes every time.

    Raises StopTheRun when the figures cannot be apportioned as the domain's data sets ask for them.
    """
    domain = load_domain(settings.domain)
    folder = settings.domain / "demo"
    published = read_published(folder / "published.csv", domain)
    apportionment = read_yaml(folder / "apportion.yml", Apportionment)
    deliveries = read_yaml(folder / "deliveries.yml", Deliveries)
    contracts = {name: load_source(settings, name) for name in deliveries.sources}
    tree = Tree.on(max(figure.period.ends_on for figure in published), domain)
    accounts = own_accounts(domain, tree, apportionment, published)
    sent = parcels(domain, tree, contracts, deliveries, accounts, published)
    making = settings.data / ".inbox-in-the-making"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    for name, contract in contracts.items():
        its = [parcel for parcel in sent if parcel.source == name]
        write_source(making, contract, carried_data_sets(contract, domain), tree, its)
    _put_in_place(making, settings.inbox)
    return settings.inbox


def _put_in_place(making: Path, inbox: Path) -> None:
    """Make ``making`` the inbox, by one rename where that is empty, so that nobody collects half a demo."""
    inbox.mkdir(exist_ok=True)
    if not any(inbox.iterdir()):
        making.rename(inbox)
        return
    for made in making.iterdir():
        standing = inbox / made.name
        if standing.is_dir():
            shutil.rmtree(standing)
        made.replace(standing)
    making.rmdir()
