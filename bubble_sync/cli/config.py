"""`bubble-sync config`: the settings of a stack with their sources."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from bubble_sync.cli.exit_codes import failure_of
from bubble_sync.cli.options import ConfigFile, Json, StackName, resolve_stack
from bubble_sync.cli.output import print_document, print_text, progress, screen, table
from bubble_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from bubble_sync.config.report import Configuration, Setting


def config(stack: StackName = None, config_file: ConfigFile = None, as_json: Json = False) -> None:
    """List each setting with its source, without the values of secrets. Opens no database connection."""
    from bubble_sync.config.report import configuration, usable_part, with_problems
    from bubble_sync.config.settings import check_settings
    from bubble_sync.config.stacks import CONFIG_VARIABLE

    chosen = resolve_stack(stack, config_file)
    written = chosen.config()
    settings, problems = check_settings(written)
    encrypted = {key for key, value in written.items() if value.secret}
    source = f"environment variable {CONFIG_VARIABLE}" if CONFIG_VARIABLE in os.environ else chosen.config_file.name
    shown = settings or usable_part(written)
    found = configuration(chosen.name, shown, encrypted, source, chosen.environment)
    found = with_problems(found, problems, written, source)
    # Print the list despite an error: the list shows both sources of a contradiction.
    failure = None
    try:
        chosen.settings(written).project(chosen.environment)
    except ConfigurationError as problem:
        failure = failure_of(problem)
    if as_json:
        print_document({**asdict(found), "error": failure._asdict() if failure else None})
    else:
        _show(found)
    if failure:
        progress(f"error: {failure.message}")
        raise typer.Exit(failure.exit_code)


def _show(found: Configuration) -> None:
    print_text(f"stack {found.stack}")
    listed = table("key", "value", "source")
    for one in found.settings:
        listed.add_row(one.key, _shown(one), one.source, style="red" if one.problem else None)
    screen().print(listed)


def _shown(setting: Setting) -> str:
    value = setting.value
    if setting.problem:
        return f"! {setting.problem}"
    if setting.secret:
        return f"[secret] {setting.note}" if setting.note else ""
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{text} ({setting.note})" if setting.note else text
