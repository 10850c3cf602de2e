"""`bubble-sync key`: show the key, try a key, rotate the key."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import code_of
from bubble_sync.cli.grouped import Grouped
from bubble_sync.cli.options import (
    ConfigFile,
    Json,
    KeyFd,
    StackName,
    ask_for_key,
    read_key_from,
    resolve_stack,
)
from bubble_sync.cli.output import print_document, print_text, progress, warn_if_never_up
from bubble_sync.config.keys import HARMLESS_ACTION
from bubble_sync.formatting import format_day

if TYPE_CHECKING:
    from bubble_sync.key.probe import Probe
    from bubble_sync.key.status import KeyInDatabase, KeyStatus

key_app = typer.Typer(cls=Grouped, help="The key for calls to the Edge Function.", rich_markup_mode=None)

Action = Annotated[str, typer.Option("--action", help="Action of the request; the default drains nothing.")]
_STORED = {
    "equal": "holds this key",
    "differs": "holds another value: `pulumi up` puts this key there",
    "unreadable": "cannot be decrypted here: `pulumi up` makes it anew",
    "absent": "is not there: `pulumi up` makes it",
}


@key_app.command()
def status(stack: StackName = None, config_file: ConfigFile = None, as_json: Json = False) -> None:
    """Show the key's kind, expiry, readers and next step; exit 1 when there is a warning."""
    from bubble_sync.database.database import Database
    from bubble_sync.key.status import key_in_database, key_status

    chosen = resolve_stack(stack, config_file)
    settings = chosen.settings()
    found = key_status(chosen.name, settings, chosen.environment, datetime.now(UTC))
    if not as_json:
        # Print the part that needs no database first.
        print_text(*_offline_lines(found))
    with closing(Database(settings.address(chosen.environment), settings.names)) as database:
        in_database = key_in_database(database, settings)
        warn_if_never_up(database, chosen.options)
    if as_json:
        print_document(_facts(found, in_database))
    else:
        print_text(*_database_lines(found, in_database))
    as_configured = in_database.stored == "equal" and in_database.functions_read_it
    raise typer.Exit(code_of(as_configured and not found.warnings))


@key_app.command("probe")
def try_key(
    stack: StackName = None,
    config_file: ConfigFile = None,
    key_fd: KeyFd = None,
    action: Action = HARMLESS_ACTION,
    as_json: Json = False,
) -> None:
    """Try the configured key, or another one, and a wrong key through pg_net; exit 0 only when the key is proven."""
    from bubble_sync.database.database import Database
    from bubble_sync.key.probe import probe
    from bubble_sync.key.rotate import with_key

    chosen = resolve_stack(stack, config_file)
    settings = chosen.settings()
    if key_fd is not None:
        settings = with_key(settings, read_key_from(key_fd), None)
        settings.project(chosen.environment)
    with closing(Database(settings.address(chosen.environment), settings.names)) as database:
        tried = probe(database, settings, settings.service_role_key, action)
    step = _after_probe(tried)
    if as_json:
        print_document({"proven": tried.proven, "conclusion": tried.conclusion, **asdict(tried), "next": step})
    else:
        print_text(f"the key      {tried.key}", f"a wrong key  {tried.wrong_key}", tried.conclusion)
        if step:
            print_text(f"next: {step}")
    raise typer.Exit(code_of(tried.proven))


@key_app.command("rotate")
def change_key(
    stack: StackName = None,
    config_file: ConfigFile = None,
    key_fd: KeyFd = None,
    name: Annotated[str | None, typer.Option("--name", help="Another name for the key's secret in Vault.")] = None,
    action: Action = HARMLESS_ACTION,
    accept_unchecked: Annotated[
        bool, typer.Option("--accept-unchecked", help="Continue although the endpoint accepts any key.")
    ] = False,
) -> None:
    """Rotate the key: try the new one, write it into the configuration, and converge it alone with `pulumi up`."""
    from bubble_sync.key.rotate import Wanted, rotate

    chosen = resolve_stack(stack, config_file)
    key = ask_for_key() if key_fd is None else read_key_from(key_fd)
    done = rotate(chosen, Wanted(key, name, action, accept_unchecked), progress)
    print_text(f"rotated: secret {done.secret_name} of stack {chosen.name} holds the new key")
    if not done.probe.proven:
        print_text(done.probe.conclusion)
    print_text(*done.kept)
    if done.commit is not None:
        print_text(f"commit it:  {done.commit}")
    when = (
        "when nothing reads what was kept" if done.kept else "a minute from now: requests on their way still carry it"
    )
    print_text(f"then revoke the old key in the dashboard, {when}")


def _offline_lines(found: KeyStatus) -> list[str]:
    shape = found.shape
    of = [f"of project {shape.project_ref}"] if shape.project_ref else []
    lines = [("stack", found.stack), ("project", found.project_ref or "unknown"), ("key", " ".join([shape.kind, *of]))]
    if shape.expires_at is not None:
        lines.append(("expires", format_day(shape.expires_at)))
    lines.append(("sent as", "apikey: <key>" if shape.header == "apikey" else "Authorization: Bearer <key>"))
    return [*_rows(lines), *_rows([("warning", warning) for warning in found.warnings])]


def _database_lines(found: KeyStatus, known: KeyInDatabase) -> list[str]:
    lines = [("Vault", f"secret {found.secret_name} {_STORED[known.stored]}")]
    if not known.functions_read_it:
        lines.append(("functions", "read another secret: `pulumi up` lets them read this one"))
    lines += [("named by", one) for one in known.others or ("our functions only",)]
    return _rows([*lines, ("next", found.next_step(known.others))])


def _rows(lines: list[tuple[str, str]]) -> list[str]:
    return [f"{word:<9} {text}" for word, text in lines]


def _after_probe(tried: Probe) -> str:
    if tried.proven:
        return ""
    again = "`bubble-sync key probe --action WORD` with an action that the function works on"
    return again if tried.unchecked else "`bubble-sync key status`, then do what the cause asks for and probe again"


def _facts(found: KeyStatus, known: KeyInDatabase) -> dict[str, object]:
    shape = found.shape
    return {
        "stack": found.stack,
        "project_ref": found.project_ref,
        "kind": shape.kind,
        "role": shape.role,
        "key_project_ref": shape.project_ref,
        "expires": shape.expires_at.isoformat() if shape.expires_at else None,
        "header": shape.header,
        "warnings": list(found.warnings),
        "secret": found.secret_name,
        "stored": known.stored,
        "functions_read_it": known.functions_read_it,
        "named_by": list(known.others),
        "next": found.next_step(known.others),
    }
