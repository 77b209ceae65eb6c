"""Collection: deliveries of sources are checked and landed, and each is answered by a receipt.

contract.py   a source's YAML                   files.py, sql.py   kinds of sources
delivery.py   what every kind hands on          formats.py         files as tables of text
layout.py     which column is what              check.py, rows.py  what is wrong, in bulk
wording.py, answers.py, messages.py, receipt.py    said to the sender
landing.py    the transaction and its ledger    run.py             all of it, for one source
"""

from plumbline.collect.contract import Source, load_source, source_names
from plumbline.collect.run import CollectResult, collect

__all__ = ["CollectResult", "Source", "collect", "load_source", "source_names"]
