"""Probes: functions that return what they saw, held against the records of the real extensions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from tests.contract.endpoint import Endpoint
from tests.contract.judge import Judge
from tests.contract.outcomes import OUTCOMES, skip_for
from tests.contract.server import Connection, Server, our_server, server_at, uses_background_workers

EXTENSION_OF = {"test_net": "pg_net", "test_vault": "supabase_vault", "test_cron": "pg_cron"}
WORKERS = "-background-workers"
#: All of one minute's jobs are to start at once, in the one mode as in the other.
WORKER_SETTINGS = {
    "cron.use_background_workers": "on",
    "cron.max_running_jobs": "30",
    "max_worker_processes": "40",
}
JUDGES = pytest.StashKey[dict[str, Judge]]()

NO_HOSTED_ROLE = "hosted role"
NOT_OURS = "server of our own"
NO_WAY_BACK = "endpoint that the server reaches"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract")
    group.addoption("--record", action="store_true", help="write the records of the real extensions that are here")
    group.addoption("--cron-workers", action="store_true", help="run jobs in pg_cron's background workers")


def asked(config: pytest.Config, option: str) -> bool:
    # Registered late, when pytest is started on the whole tree, the options are not there.
    return bool(config.getoption(option, False))


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    dsn = os.environ.get("CONTRACT_DSN")
    if dsn:
        yield server_at(dsn)
    else:
        with our_server(WORKER_SETTINGS if asked(pytestconfig, "cron_workers") else {}) as ours:
            yield ours


@pytest.fixture(scope="session")
def judges(server: Server, pytestconfig: pytest.Config) -> Iterator[dict[str, Judge]]:
    recording = asked(pytestconfig, "record")
    versions = server.versions()
    with server.connect() as connection:
        variants = {"pg_cron": WORKERS} if uses_background_workers(connection) else {}
    made = {
        name: Judge(
            name, version, variant=variants.get(name, ""), recording=recording, ours=server.platform is not None
        )
        for name, version in versions.items()
    }
    yield made
    for judge in made.values():
        if judge.recorded_anew:
            judge.record.write(server.postgresql())


@pytest.fixture(autouse=True)
def _judged(request: pytest.FixtureRequest, judges: dict[str, Judge]) -> None:
    request.config.stash[JUDGES] = judges


@pytest.fixture
def caller(server: Server) -> Iterator[Connection]:
    """A session of the role that the product works as."""
    with server.connect() as connection:
        yield connection


@pytest.fixture
def admin(request: pytest.FixtureRequest, server: Server) -> Iterator[Connection]:
    """A session of a superuser, on a server of our own."""
    if server.admin_dsn is None:
        skip_for(request, NOT_OURS)
    with server.connect(server.admin_dsn) as connection:
        yield connection


@pytest.fixture
def hosted(request: pytest.FixtureRequest, server: Server, caller: Connection) -> Connection:
    """The caller, who is no superuser."""
    if server.caller_is_superuser:
        skip_for(request, NO_HOSTED_ROLE)
    return caller


@pytest.fixture
def ours(request: pytest.FixtureRequest, server: Server) -> Server:
    """The server, when it is ours to restart."""
    if server.platform is None:
        skip_for(request, NOT_OURS)
    return server


@pytest.fixture(scope="session")
def endpoints() -> Iterator[dict[str, Endpoint]]:
    """Where requests go, another port of that host, and another host."""
    first = Endpoint()
    made = {"same": first, "port": Endpoint(), "host": Endpoint("127.0.0.2", first.server_address[1])}
    yield made
    for one in made.values():
        one.end()


@pytest.fixture(scope="session")
def reachable(server: Server, judges: dict[str, Judge], endpoints: dict[str, Endpoint]) -> bool:
    """Whether the server's worker reaches an endpoint of this machine."""
    with server.connect() as connection:
        connection.execute("select net.http_get(%s)", (endpoints["same"].url,))
    return not endpoints["same"].nothing_comes(5.0)


@pytest.fixture
def endpoint(request: pytest.FixtureRequest, reachable: bool, endpoints: dict[str, Endpoint]) -> Iterator[Endpoint]:
    """The endpoint, with nothing of another probe in it."""
    if not reachable:
        skip_for(request, NO_WAY_BACK)
    for one in endpoints.values():
        one.forget()
    yield endpoints["same"]
    for one in endpoints.values():
        one.forget()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = Counter()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run a probe and judge what it returns."""
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    outcomes = pyfuncitem.config.stash[OUTCOMES]
    try:
        observation = pyfuncitem.obj(**arguments)
    except (psycopg.Error, AssertionError, LookupError):
        outcomes["failed"] += 1
        raise
    judge = pyfuncitem.config.stash[JUDGES][EXTENSION_OF[pyfuncitem.module.__name__.rpartition(".")[2]]]
    outcome, advice = judge.verdict(pyfuncitem.name.removeprefix("test_"), observation)
    outcomes[outcome] += 1
    if advice:
        pytest.fail(advice, pytrace=False)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    outcomes = config.stash[OUTCOMES]
    if not outcomes:
        return
    words = {"same": "as recorded", "listed": "listed differences", "by version": "other by version"}
    parts = [f"{outcomes[name]} {word}" for name, word in words.items()]
    parts += [f"{count} {name}" for name, count in sorted(outcomes.items()) if name not in words]
    terminalreporter.write_line(f"contract: {outcomes.total()} probes, {', '.join(parts)}")
