"""A first contract from a sample: what a source's file seems to be, written down to be checked by a person.

sample.py     the sample as grids of text
numbers.py    numbers, whatever their marks
periods.py    periods, however they are written
headers.py    which row is the header, and which column is what
where.py      where units and period stand
for_people.py which rows are notes and totals
proposal.py   a contract, and a data set where none is known
fixtures.py   good and bad examples, and the test that goes with them
new.py        all of it, on disk
"""

from plumbline.scaffold.fixtures import Case, answer, cases
from plumbline.scaffold.new import Created, create

__all__ = ["Case", "Created", "answer", "cases", "create"]
