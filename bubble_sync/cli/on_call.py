"""`--database-url-env`: open a stack by its database URL alone; the settings come from the ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from bubble_sync.cli.options import chosen_stack, complete_by_url
from bubble_sync.cli.output import StackContext, open_stack, progress
from bubble_sync.errors import ConfigurationError

_OPTION = "--database-url-env"


@contextmanager
def open_either(
    stack: str | None,
    config_file: Path | None,
    database_url_env: str | None,
    *,
    needs_settings: bool = True,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[StackContext]:
    """Open a stack by its configuration, or by its database URL alone.

    Raises:
        ConfigurationError: The question needs settings, and the ledger holds none.
    """
    if database_url_env is None:
        with open_stack(stack, config_file, environment) as context:
            yield context
        return
    if config_file is not None:
        raise ConfigurationError(f"{_OPTION} reads no configuration: leave out --config-file")
    with _by_url(chosen_stack(stack, environment), database_url_env, environment, needs_settings) as context:
        yield context


@contextmanager
def _by_url(
    stack: str | None, variable: str, environment: Mapping[str, str], needs_settings: bool
) -> Iterator[StackContext]:
    # Imported here: the command's help needs no driver.
    from bubble_sync import __version__
    from bubble_sync.config.database_url import database_address
    from bubble_sync.database.database import Database
    from bubble_sync.records.set_ups import find_set_up

    address = database_address(None, variable, None, environment, _OPTION)
    found = find_set_up(address, variable, stack)
    complete_by_url(found.stack, (_OPTION, variable, *(("--stack", stack) if stack else ())))
    if found.lacking:
        if needs_settings:
            raise ConfigurationError(found.lacking)
        progress(f"note: {found.lacking}. Schedules and limits are the defaults here")
    if found.other_version:
        progress(
            f"note: bubble-sync {found.other_version} declared the objects of stack {found.stack} otherwise than this "
            f"version, {__version__}, does: differences of functions may have no other cause"
        )
    with closing(Database(address, found.settings.names)) as database:
        project = found.settings.project(environment)
        yield StackContext(found.stack, project, found.settings, database, environment)
