"""What the tests of the database share."""

from __future__ import annotations

import pytest

from bubble_sync.local.addresses import Addresses
from bubble_sync.local.platform import Platform
from tests.fixtures.breaking import set_up, working
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site


@pytest.fixture
def server_log(platform: Platform, database: Addresses) -> ServerLog:
    """Read what the server logs from here on, every statement included."""
    (path,) = [part.log for part in platform.status().parts if part.name == "postgres"]
    return ServerLog(path)


@pytest.fixture
def converged(site: Site) -> Site:
    """A project as `up` leaves it."""
    set_up(site, working())
    return site
