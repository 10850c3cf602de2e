"""`bubble-sync key`: show the key, try a key, rotate the key."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bubble_sync.cli.all_stacks import ask_every_stack, code_of_all, failure_document, print_table
from bubble_sync.cli.exit_codes import NO, code_of
from bubble_sync.cli.grouped import Grouped
from bubble_sync.cli.options import (
    AllStacks,
    ConfigFile,
    Json,
    KeyFd,
    StackName,
    Yes,
    ask_for_key,
    confirm,
    read_key_from,
    require_no_choice,
    resolve_stack,
)
from bubble_sync.cli.output import StackContext, print_document, print_text, progress, warn_if_never_up
from bubble_sync.config.keys import HARMLESS_ACTION
from bubble_sync.formatting import format_age, format_day, format_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bubble_sync.config.settings import StackSettings
    from bubble_sync.key.probe import Probe
    from bubble_sync.key.rotate import Rotation
    from bubble_sync.key.status import KeyInDatabase, KeyStatus

key_app = typer.Typer(cls=Grouped, help="The key for calls to the Edge Function.", rich_markup_mode=None)

FunctionSecretName = Annotated[
    str | None,
    typer.Option(
        "--function-secret",
        metavar="NAME",
        help="The Edge Function's secret with its keys, through Supabase's Management API and SUPABASE_ACCESS_TOKEN.",
    ),
]
_FUNCTION = {
    "equal": "holds this key alone",
    "differs": "holds another value: several keys, or another one",
    "absent": "is not there: no function reads it",
}
Action = Annotated[str, typer.Option("--action", help="Action of the request; the default drains nothing.")]
_STORED = {
    "equal": "holds this key",
    "differs": "holds another value: `pulumi up` puts this key there",
    "unreadable": "cannot be decrypted here: `pulumi up` makes it anew",
    "absent": "is not there: `pulumi up` makes it",
}


@key_app.command()
def status(
    stack: StackName = None,
    config_file: ConfigFile = None,
    function_secret: FunctionSecretName = None,
    all_stacks: AllStacks = False,
    as_json: Json = False,
) -> None:
    """Show the key's kind, expiry, readers and next step; exit 1 when there is a warning."""
    from bubble_sync.database.database import Database
    from bubble_sync.key.status import key_in_database, key_status

    if all_stacks:
        require_no_choice(stack, config_file)
        _of_all_stacks(as_json=as_json)
    chosen = resolve_stack(stack, config_file)
    settings = chosen.settings()
    found = key_status(chosen.name, settings, chosen.environment, datetime.now(UTC))
    if not as_json:
        # Print the part that needs no database first.
        print_text(*_offline_lines(found))
    with closing(Database(settings.address(chosen.environment), settings.names)) as database:
        in_database = key_in_database(database, settings)
        warn_if_never_up(database, chosen)
    in_function = None if function_secret is None else _in_function(function_secret, settings, chosen.environment)
    if as_json:
        print_document({**_facts(found, in_database), "function_secret": in_function})
    else:
        print_text(*_database_lines(found, in_database, function_secret, in_function))
    as_configured = _good(found, in_database) and in_function in (None, "equal")
    raise typer.Exit(code_of(as_configured))


def _good(found: KeyStatus, known: KeyInDatabase) -> bool:
    return known.stored == "equal" and known.functions_read_it and not found.warnings


def _read(context: StackContext) -> tuple[KeyStatus, KeyInDatabase]:
    from bubble_sync.key.status import key_in_database, key_status

    found = key_status(context.name, context.settings, context.environment, datetime.now(UTC))
    return found, key_in_database(context.database, context.settings)


def _of_all_stacks(*, as_json: bool) -> NoReturn:
    answers = ask_every_stack(_read)
    if as_json:
        facts = (_facts(*one.answer) if one.answer else failure_document(one) for one in answers)
        print_document({"stacks": list(facts)})
    else:
        print_table([(one, one.answer is not None and _good(*one.answer), _line(one.answer)) for one in answers])
    raise typer.Exit(code_of_all(answers, lambda both: _good(*both)))


def _line(both: tuple[KeyStatus, KeyInDatabase] | None) -> str:
    if both is None:
        return ""
    found, known = both
    expires = f", expires {format_day(found.shape.expires_at)}" if found.shape.expires_at else ""
    stored, _, _ = _STORED[known.stored].partition(":")
    return f"{found.shape.kind}{expires}; secret {found.secret_name} {stored}; next: {found.next_step(known.others)}"


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
def change_key(  # noqa: PLR0913 - each option is a parameter
    stack: StackName = None,
    config_file: ConfigFile = None,
    key_fd: KeyFd = None,
    name: Annotated[str | None, typer.Option("--name", help="Another name for the key's secret in Vault.")] = None,
    action: Action = HARMLESS_ACTION,
    accept_unchecked: Annotated[
        bool, typer.Option("--accept-unchecked", help="Continue although the endpoint accepts any key.")
    ] = False,
    function_secret: FunctionSecretName = None,
    one_key: Annotated[
        bool, typer.Option("--one-key", help="The function secret holds one key: ticks in between are refused.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the steps, and change nothing.")] = False,
) -> None:
    """Rotate the key: try the new one, write it into the configuration, and converge it alone with `pulumi up`."""
    from bubble_sync.key.rotate import Wanted, plan, rotate

    chosen = resolve_stack(stack, config_file)
    key = ask_for_key() if key_fd is None else read_key_from(key_fd)
    wanted = Wanted(key, name, action, accept_unchecked, function_secret, one_key)
    if dry_run:
        print_text(*(f"{number}. {step}" for number, step in enumerate(plan(chosen, wanted), 1)))
        print_text("dry run: nothing was changed")
        return
    done = rotate(chosen, wanted, progress)
    print_text(f"rotated: secret {done.secret_name} of stack {chosen.name} holds the new key")
    if not done.probe.proven:
        print_text(done.probe.conclusion)
    print_text(*_function_lines(done), *done.kept)
    if done.commit is not None:
        print_text(f"commit it:  {done.commit}")
    print_text(f"then revoke the old key in the dashboard{_when(done)}")
    raise typer.Exit(code_of(not done.unfinished))


@key_app.command("set-function")
def set_function(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the function secret, as in BUBBLE_SYNC_KEYS.")],
    stack: StackName = None,
    config_file: ConfigFile = None,
    yes: Yes = False,
) -> None:
    """Let the Edge Function accept the stack's key alone: set its secret through the Management API."""
    from bubble_sync.key.function_secret import aligning

    chosen = resolve_stack(stack, config_file)
    with aligning(chosen, name) as alignment:
        already = alignment.state == "equal"
        if not already:
            print_text(alignment.description)
            if not confirm(f"Set it to the key of stack {chosen.name} alone?", yes=yes, as_json=False):
                print_text("nothing was changed")
                raise typer.Exit(NO)
            progress("waiting for earlier requests, then setting it ...")
            alignment.apply()
    print_text(f"{alignment.secret} holds the key of stack {chosen.name} alone{' already' if already else ''}")


def _when(done: Rotation) -> str:
    if done.kept:
        return ", when nothing reads what was kept"
    if done.waited:
        return ""
    return ", a minute from now: requests on their way still carry it"


def _function_lines(done: Rotation) -> list[str]:
    if done.function_secret is None:
        return []
    if done.unfinished:
        return [f"unfinished: {done.unfinished}"]
    lines = [f"{done.function_secret} holds the new key alone"]
    if done.gap is not None:
        began, ended = done.gap
        seconds = (ended - began).total_seconds()
        lines.append(
            f"the function refused requests with the old key from {format_timestamp(began)} on, for at most "
            f"{format_age(seconds)}; their items wait for the next tick"
        )
    return lines


def _offline_lines(found: KeyStatus) -> list[str]:
    shape = found.shape
    of = [f"of project {shape.project_ref}"] if shape.project_ref else []
    lines = [("stack", found.stack), ("project", found.project_ref or "unknown"), ("key", " ".join([shape.kind, *of]))]
    if shape.expires_at is not None:
        lines.append(("expires", format_day(shape.expires_at)))
    lines.append(("sent as", "apikey: <key>" if shape.header == "apikey" else "Authorization: Bearer <key>"))
    return [*_rows(lines), *_rows([("warning", warning) for warning in found.warnings])]


def _in_function(name: str, settings: StackSettings, environment: Mapping[str, str]) -> str:
    from bubble_sync.key.function_secret import function_secret, state_of

    return state_of(function_secret(name, settings, environment).stored(), settings)


def _database_lines(found: KeyStatus, known: KeyInDatabase, name: str | None, in_function: str | None) -> list[str]:
    lines = [("Vault", f"secret {found.secret_name} {_STORED[known.stored]}")]
    if not known.functions_read_it:
        lines.append(("functions", "read another secret: `pulumi up` lets them read this one"))
    if in_function is not None:
        lines.append(("function", f"secret {name} {_FUNCTION[in_function]}"))
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
