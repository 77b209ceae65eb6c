"""Pages of an HTTP interface that are asked for by number: their own, or their first record's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlt.common.jsonpath import find_values
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from plumbline.collect.documents import parse_json
from plumbline.errors import StopTheRun, TryAgain


class ByNumber(BasePaginator):
    """Asks on until a page is empty or, where the answers say a total, until that is reached.

    dlt's own paginators step by what was asked for, of which a server may give less, and end at any empty page.
    """

    def __init__(
        self,
        source: str,
        parameter: str,
        first: int,
        total: str | None,
        records: Callable[[Any], list[Any]],
        step: Callable[[list[Any]], int],
    ) -> None:
        """Ask with ``parameter`` for numbers from ``first`` on.

        ``total`` is the JSON path of how many there are; ``records`` gives the records of an answer, ``step`` how
        far the number goes on after them.
        """
        super().__init__()
        self._source, self._parameter, self._first, self._path = source, parameter, first, total
        self._records, self._step = records, step
        self._number = first
        self._total: int | None = None

    def init_request(self, request: Request) -> None:
        """Ask for the first page."""
        self.update_request(request)

    def update_request(self, request: Request) -> None:
        """Ask for the page that the last answer has led to."""
        assert isinstance(request.params, dict)
        request.params[self._parameter] = self._number

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Step on from an answer.

        Raises TryAgain when it is empty and the total is not reached, StopTheRun when there is no total in it.
        """
        document = parse_json(response.content)
        records = self._records(document)
        if self._path and (records or self._total is None):
            self._total = self._total_in(document)
        asked, self._number = self._number, self._number + self._step(records)
        self._has_next_page = bool(records) if self._total is None else self._number < self._first + self._total
        if self._has_next_page and not records:
            raise TryAgain(
                f"source {self._source}: {self._parameter}={asked} is an empty page, "
                f"though {self._path} is {self._total}"
            )

    def _total_in(self, document: Any) -> int:
        found = find_values(str(self._path), document)
        try:
            return int(found[0])
        except (LookupError, ValueError, TypeError):
            raise StopTheRun(f"source {self._source}: pages.total: there is no number at {self._path}") from None
