"""A first contract from a sample: what a source's file seems to be, written down to be checked by a person.

sample.py     the sample as grids of text
headers.py    which column is what
proposal.py   a contract, and a data set where none is known
fixtures.py   good and bad examples, and the test that goes with them
new.py        all of it, on disk
"""

from plumbline.scaffold.fixtures import Case, answer, cases
from plumbline.scaffold.new import Created, create

__all__ = ["Case", "Created", "answer", "cases", "create"]
