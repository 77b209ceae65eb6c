"""Collection: deliveries of sources are checked and landed, and each is answered by a receipt.

run.py                                one source, from its contract to its batches
contract.py                           a source's YAML
kinds/                                a module for each kind of source: files, rest, sql
connection.py                         what a connection's id stands for, and its secrets kept
extract.py                            rows of a source without files, and what of them has changed
delivery.py, envelope.py              what every kind hands on, and when it was received
formats.py, documents.py, layout.py   from bytes to rows of a data set
check.py, place.py, rows.py, numeral.py    what is wrong, for all rows of a batch at once
answers.py, messages.py, receipt.py, marked.py   how that is said to the sender
returned.py                           what was returned, to be tried again
landing.py                            the transaction, and the ledger of what has landed
"""

from plumbline.collect.contract import Source, load_source, source_names
from plumbline.collect.run import CollectResult, collect, replay

__all__ = ["CollectResult", "Source", "collect", "load_source", "replay", "source_names"]
