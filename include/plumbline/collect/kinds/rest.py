"""Kind ``rest``: the records of an HTTP interface that answers in JSON; what lands is what is new or has changed.

dlt's REST client fetches, pages, signs in and tries again (5xx, time-outs, and 429 after the time that the
server asks for). All pages are read before anything lands, since a submission may go over from one to the
next. The pages land as they came, the records as an extract of them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urljoin, urlsplit

from pydantic import Field, model_validator

from plumbline.collect.connection import Connection, Connections, reaching
from plumbline.collect.contract import Source
from plumbline.collect.delivery import Delivery, Problem
from plumbline.collect.documents import parse_json, records_in, table_of_records
from plumbline.collect.extract import Extract, bookmark, marked
from plumbline.collect.formats import NoRecordsError, UnreadableError, texts
from plumbline.collect.landing import Ledger
from plumbline.domain import Strict
from plumbline.errors import StopTheRun, TryAgain
from plumbline.settings import Settings

if TYPE_CHECKING:
    from dlt.sources.helpers.rest_client.auth import AuthConfigBase
    from dlt.sources.helpers.rest_client.client import PageData
    from dlt.sources.helpers.rest_client.paginators import BasePaginator
    from requests import Response, Session

ATTEMPTS = 5
"""How often a request is made that fails with what may pass; the waits are 1, 2, 4, 8 s, or what the server says."""
SECONDS_TO_ANSWER = 60


class ApiKey(Strict):
    """A key, the connection's password, under a name that the interface has for it."""

    type: Literal["api_key"]
    name: str
    location: Literal["header", "query"] = "header"


class OAuth2(Strict):
    """Client credentials, the connection's login and password, that a token is got with."""

    type: Literal["oauth2"]
    token_url: str
    scope: str | None = None


class ByPage(Strict):
    """Pages have numbers; the last of as many as the answers say is the last or, where they do not, an empty one."""

    by: Literal["page"]
    parameter: str = "page"
    first: int = 1
    total: str | None = None
    """JSON path of the number of pages."""


class ByOffset(Strict):
    """Pages begin at a record's number; the one that reaches the total is the last or, without one, an empty one."""

    by: Literal["offset"]
    parameter: str = "offset"
    limit: int
    """How many records are asked for; a server may give fewer."""
    limit_parameter: str = "limit"
    total: str | None = None
    """JSON path of the number of records."""


class ByCursor(Strict):
    """An answer has a word that asks for the next page; the last answer has none."""

    by: Literal["cursor"]
    parameter: str = "cursor"
    next: str
    """JSON path of that word."""


class ByLink(Strict):
    """An answer has the next page's address; the last answer has none."""

    by: Literal["link"]
    next: str | None = None
    """JSON path of the address; when not given, it stands in the header ``Link``."""


class Since(Strict):
    """The field of a record that only grows, and the parameter that asks for records from a value of it on."""

    field: str
    parameter: str
    first: str | None = None
    """What is asked for the first time; nothing when not given."""


class Contract(Source):
    """A source that is an HTTP interface."""

    omits_keys: ClassVar[bool] = True

    kind: Literal["rest"]
    path: str = ""
    """The address, or what to put behind the connection's host."""
    parameters: dict[str, str | int] = Field(default_factory=dict)
    """What every request has in its address."""
    auth: Literal["none", "basic", "bearer"] | ApiKey | OAuth2 = "none"
    """How the connection's login and password, or its password alone (bearer), are shown."""
    records: str | None = None
    """JSON path of the list of records; when not given, the answer is the list, or has one list in it."""
    pages: Annotated[ByPage | ByOffset | ByCursor | ByLink, Field(discriminator="by")] | None = None
    since: Since | None = None

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if self.auth != "none" and not self.connection:
            raise ValueError("auth: there is no connection with a login or password")
        if not self.connection and "://" not in self.path:
            raise ValueError("kind rest has a connection, or a path that is an address")
        if self.since and self.indicator:
            raise ValueError("since: a submission of several records may not come in parts; leave it out")
        return self

    def deliveries(self, settings: Settings, ledger: Ledger, connections: Connections) -> Iterator[Delivery]:
        """Yield the pages as they came, then what in them is not the latest of its submission yet, kept as CSV.

        A page that is no JSON is yielded alone, to be returned with a receipt, and then TryAgain is raised.
        Raises TryAgain when the server is away, StopTheRun when it refuses or answers something else than
        the contract says.
        """
        connection = connections(self.connection) if self.connection else Connection("")
        with Extract(self, ledger) as extract, tempfile.TemporaryDirectory() as folder:
            reader = _Reader(self, connection, extract, Path(folder), marked(ledger, self._what()))
            with reaching(self.source, self.path or connection.host, connection):
                reader.read()
            if reader.broken:
                if not ledger.has(reader.broken):
                    yield reader.broken
                raise TryAgain(f"source {self.source}: {reader.broken.file_name} cannot be read; see its receipt")
            if extract.parts():
                yield from (page for page in reader.pages() if not ledger.has(page))
            yield from extract.deliveries(self.base_name(), bookmark(self._what(), reader.last))

    def _what(self) -> str | None:
        """Return what is read on from where it has landed; None when all of it is read anew."""
        return f"{self.path} {self.since.field}" if self.since else None

    def base_name(self) -> str:
        """Return what the files that are kept are named by."""
        return self.path.partition("?")[0].strip("/").rpartition("/")[2] or "records"

    def paginator(self, records: Callable[[Any], list[Any]]) -> BasePaginator:
        """Return what asks for one page after the other; ``records`` gives the records of an answer."""
        from dlt.sources.helpers.rest_client import paginators

        from plumbline.collect.paging import ByNumber

        match self.pages:
            case ByPage() as by:
                return ByNumber(self.source, by.parameter, by.first, by.total, records, step=lambda _: 1)
            case ByOffset() as by:
                return ByNumber(self.source, by.parameter, 0, by.total, records, step=len)
            case ByCursor() as by:
                return paginators.JSONResponseCursorPaginator(cursor_path=by.next, cursor_param=by.parameter)
            case ByLink(next=str() as path):
                return paginators.JSONLinkPaginator(next_url_path=path)
            case ByLink():
                return paginators.HeaderLinkPaginator()
        return paginators.SinglePagePaginator()


class _Reader:
    """One reading of an interface: its pages into a folder, their records into an extract."""

    def __init__(self, source: Contract, connection: Connection, extract: Extract, folder: Path, last: Any) -> None:
        self.source, self.connection, self.extract, self.folder = source, connection, extract, folder
        self.last = last
        """The greatest value of the contract's field ``since``."""
        self.broken: Delivery | None = None
        self._count = 0
        self._before = b""

    def pages(self) -> Iterator[Delivery]:
        """Yield the pages as they came."""
        for number in range(1, self._count + 1):
            yield Delivery(self._name(number), (self.folder / str(number)).read_bytes(), format=None)

    def read(self) -> None:
        """Read all pages, or those up to one that is ``broken``."""
        # dlt would import Airflow, three seconds, to look for settings of its own there; ours come by connection.
        os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
        from dlt.common.configuration.specs import RuntimeConfiguration
        from dlt.sources.helpers.requests import Client
        from dlt.sources.helpers.rest_client.client import RESTClient
        from requests.exceptions import JSONDecodeError

        answers: list[Response] = []

        def judge(response: Response, *_: Any, **__: Any) -> None:
            response.raise_for_status()
            if response.is_redirect and isinstance(self.source.auth, ApiKey):
                self._keep_the_key(session, response)
            answers[:] = [response]

        session = Client(SECONDS_TO_ANSWER, raise_for_status=False, request_max_attempts=ATTEMPTS).session
        client = RESTClient(self._address(), auth=self._auth(session), session=session, config=RuntimeConfiguration())
        since = self.source.since
        first = (since.first if self.last is None else self.last) if since else None
        parameters = self.source.parameters | ({since.parameter: first} if since and first is not None else {})
        if isinstance(self.source.pages, ByOffset):
            parameters |= {self.source.pages.limit_parameter: self.source.pages.limit}
        try:
            for page in client.paginate(
                params=dict(parameters),
                paginator=self.source.paginator(self._records),
                data_selector=self.source.records,
                hooks={"response": [judge]},
            ):
                self._take(page, client.base_url)
                answers.clear()
        except (UnreadableError, JSONDecodeError) as error:
            if not answers:  # it is the token that cannot be read
                raise
            name = self._name(self._count + 1)
            values = {"file": name, "format": "json", "reason": str(error)}
            problem = Problem("unreadable_file", values)
            self.broken = Delivery(name, answers[0].content, format="json", problems=(problem,))

    def _take(self, page: PageData[Any], base_url: str) -> None:
        content = page.response.content
        if content == self._before and page:
            raise StopTheRun(f"source {self.source.source}: {self._name(self._count + 1)} is the page before it again")
        records = self._records(parse_json(content))
        self._before = content
        self._count += 1
        (self.folder / str(self._count)).write_bytes(content)
        if page.paginator.has_next_page and _origin(str(page.request.url)) != _origin(base_url):
            # It would be sent the connection's password.
            raise StopTheRun(f"source {self.source.source}: {self._name(self._count)} leads to another server")
        table = table_of_records(records, decimal_mark=self.source.decimal_mark)
        self.extract.add([str(header) for header in table.header], table.columns)
        since = self.source.since
        if since and records:
            if since.field not in table.header:
                raise StopTheRun(
                    f"source {self.source.source}: since.field: no record has {since.field}: {table.header}"
                )
            values = texts([table.columns[table.header.index(since.field)]]).to_pylist()
            self.last = _greatest(self.source, [self.last, *values])

    def _keep_the_key(self, session: Session, response: Response) -> None:
        """Raise StopTheRun where a redirect would take the key to another server.

        Of what signs a request, requests itself takes away the header Authorization alone.
        """
        if session.should_strip_auth(response.url, urljoin(response.url, response.headers["Location"])):
            page = self._name(self._count + 1)
            raise StopTheRun(f"source {self.source.source}: the server sends to another server for {page}")

    def _records(self, document: Any) -> list[dict[str, Any]]:
        try:
            return records_in(document, self.source.records)
        except NoRecordsError as error:
            at = f" at {self.source.records}" if self.source.records else ""
            raise StopTheRun(
                f"source {self.source.source}: records: {self._name(self._count + 1)} has not one list of records{at}: "
                f"{error}; say with 'records' where in the answer it is"
            ) from None

    def _name(self, number: int) -> str:
        return f"{self.source.base_name()}/page-{number:04}.json"

    def _address(self) -> str:
        path, connection = self.source.path, self.connection
        if "://" in path:
            return path
        host = connection.host if "://" in connection.host else f"{connection.schema or 'https'}://{connection.host}"
        port = f":{connection.port}" if connection.port else ""
        return f"{host.rstrip('/')}{port}/{path.lstrip('/')}"

    def _auth(self, session: Any) -> AuthConfigBase | None:
        from dlt.sources.helpers.rest_client import auth

        login, password = self.connection.login, self.connection.password
        match self.source.auth:
            case "basic":
                return auth.HttpBasicAuth(login, password)
            case "bearer":
                return auth.BearerTokenAuth(password)
            case ApiKey() as by:
                return auth.APIKeyAuth(by.name, password, by.location)
            case OAuth2() as by:
                return _client_credentials(self.source.source, self.connection, by, session)
        return None


def _client_credentials(source: str, connection: Connection, by: OAuth2, session: Any) -> AuthConfigBase:
    """Return what gets a token and shows it; what goes wrong there is told of the token's address."""
    from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials

    class Credentials(OAuth2ClientCredentials):
        def obtain_token(self) -> None:
            with reaching(source, by.token_url, connection):
                super().obtain_token()

        def parse_access_token(self, response_json: Any) -> str:
            answer = response_json if isinstance(response_json, dict) else {}
            if not answer.get("access_token"):  # dlt would show the word None
                but = f", but the keys {', '.join(answer)}" if answer else ""
                raise StopTheRun(f"source {source}: {by.token_url} gives no access_token{but}")
            return super().parse_access_token(response_json)

    return Credentials(
        access_token_url=by.token_url,
        client_id=connection.login,
        client_secret=connection.password,
        access_token_request_data={"scope": by.scope} if by.scope else {},
        session=session,
    )


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc


def _greatest(source: Contract, values: list[Any]) -> Any:
    """Return the greatest of numbers, of times, or of texts."""
    said = [value for value in values if value is not None]
    try:
        return max(said, key=_order, default=None)
    except TypeError:
        raise StopTheRun(
            f"source {source.source}: since.field: not all are numbers, nor all times with an offset, nor all texts"
        ) from None


def _order(value: Any) -> Any:
    for read in (Decimal, datetime.fromisoformat):
        with suppress(ValueError, ArithmeticError):
            return read(value)
    return value
