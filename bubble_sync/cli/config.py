"""`bubble-sync config`: what the configuration of a stack comes to, and where each value is from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from bubble_sync.cli.answers import print_json, screen, table
from bubble_sync.cli.arguments import ConfigFile, Json, StackName, the_stack

if TYPE_CHECKING:
    from bubble_sync.questions.configuration import Setting


def config(stack: StackName = None, config_file: ConfigFile = None, as_json: Json = False) -> None:
    """List each setting with its source; of a secret only what it is. Asks no database."""
    from bubble_sync.questions.configuration import configuration
    from bubble_sync.stacks import CONFIG_VARIABLE

    chosen = the_stack(stack, config_file)
    written = chosen.config()
    settings = chosen.settings(written)
    encrypted = {key for key, value in written.items() if value.secret}
    source = f"environment variable {CONFIG_VARIABLE}" if CONFIG_VARIABLE in os.environ else chosen.config_file.name
    found = configuration(chosen.name, settings, encrypted, source, chosen.environment)
    if as_json:
        print_json(found)
    else:
        typer.echo(f"stack {found.stack}")
        listed = table("key", "value", "source")
        for one in found.settings:
            listed.add_row(one.key, _shown(one), one.source)
        screen().print(listed)
    # Said last: whoever reads why two parts name two projects wants to see both.
    settings.project(chosen.environment)


def _shown(setting: Setting) -> str:
    value = setting.value
    if setting.secret:
        return f"[secret] {setting.note}" if setting.note else ""
    said = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{said} ({setting.note})" if setting.note else said
