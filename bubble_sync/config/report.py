"""Report the effective settings of a stack, with their sources and without secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from bubble_sync.config.database_url import NAMESPACE, read_database_url
from bubble_sync.config.keys import read_key
from bubble_sync.config.settings import SECRET_KEYS, ConfigValue, Settings, StackSettings, plain_values
from bubble_sync.formatting import format_day

DEFAULT, UNSET, DERIVED, UNKNOWN_KEY = "default", "not set", "derived from projectRef", "no such key"
_PLACEHOLDER = "stand-in"


@dataclass(frozen=True)
class Setting:
    """One setting; secrets have no value here."""

    key: str
    value: object
    source: str
    secret: bool = False
    note: str = ""
    """The kind of a secret, or what a named variable contains."""
    problem: str = ""
    """The reason why the setting is invalid."""


@dataclass(frozen=True)
class Configuration:
    """All settings of one stack."""

    stack: str
    settings: tuple[Setting, ...]


def configuration(
    stack: str, settings: StackSettings, encrypted: Collection[str], source: str, environment: Mapping[str, str]
) -> Configuration:
    """List all settings; `source` names the origin of values other than defaults.

    Encrypted values are treated as secrets, whatever their key.
    """
    listed = _listed(settings, settings, source, environment)
    return Configuration(stack, tuple(_hidden(one) if _top(one) in encrypted else one for one in listed))


def usable_part(config: Mapping[str, ConfigValue]) -> StackSettings:
    """Return the valid part of an invalid configuration, with placeholders for missing keys."""
    given = plain_values(config)
    # An error of one validator can hide another's.
    for _ in range(len(given) + 1):
        try:
            return StackSettings.model_validate(given)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=False):
                _take_out(given, [str(part) for part in detail["loc"]])
    return StackSettings.model_construct(service_role_key=_PLACEHOLDER)


def _take_out(given: dict[str, object], place: Sequence[str]) -> None:
    inner = given.get(place[0])
    if len(place) > 1 and isinstance(inner, dict):
        given[place[0]] = {name: value for name, value in inner.items() if name != place[1]}
    elif place[0] == "serviceRoleKey":
        given[place[0]] = _PLACEHOLDER
    else:
        given.pop(place[0], None)


def with_problems(
    found: Configuration, problems: Collection[str], written: Collection[str], source: str
) -> Configuration:
    """Attach each problem to its setting, and list unknown keys; `written` are the keys of `source`."""
    problems_of: dict[str, list[str]] = {}
    for problem in problems:
        key, _, text = problem.partition(": ")
        problems_of.setdefault(key, []).append(text)
    listed = []
    for one in found.settings:
        if texts := problems_of.pop(one.key, None):
            place = source if _top(one) in written else one.source
            one = replace(one, value=None, note="", source=place, problem="; ".join(texts))
        listed.append(one)
    listed += [Setting(key, None, UNKNOWN_KEY, problem="; ".join(texts)) for key, texts in problems_of.items()]
    return replace(found, settings=tuple(listed))


def _top(setting: Setting) -> str:
    return setting.key.removeprefix(f"{NAMESPACE}:").split(".")[0]


def _hidden(setting: Setting) -> Setting:
    if setting.secret or setting.source in (DEFAULT, UNSET):
        return setting
    return replace(setting, value=None, secret=True, note="set")


def _listed(
    model: Settings, settings: StackSettings, source: str, environment: Mapping[str, str], above: str = ""
) -> Iterator[Setting]:
    for name, field in type(model).model_fields.items():
        value, key = getattr(model, name), f"{above}{field.alias or name}"
        if isinstance(value, Settings):
            yield from _listed(value, settings, source, environment, f"{key}.")
            continue
        written = name in model.model_fields_set
        origin = source if written else UNSET if value in (None, "") else DEFAULT
        full = f"{NAMESPACE}:{key}"
        if key in SECRET_KEYS:
            yield Setting(full, None, origin, secret=True, note=_kind(key, value) if written else "")
        elif key == "supabaseUrl" and not value and settings.project_ref:
            yield Setting(full, settings.url, DERIVED)
        elif key == "databaseUrlEnv" and value:
            held = environment.get(value)
            note = f"which is set: {_place(held)}" if held else "which is not set"
            yield Setting(full, value, origin, note=note)
        else:
            yield Setting(full, value or None if isinstance(value, str) else value, origin)


def _kind(key: str, value: str) -> str:
    if key == "databaseUrl":
        return _place(value)
    if key != "serviceRoleKey":
        return "set"
    shape = read_key(value)
    of = f" of project {shape.project_ref}" if shape.project_ref else ""
    until = f", expires {format_day(shape.expires_at)}" if shape.expires_at else ""
    return f"{shape.kind}{of}{until}"


def _place(url: str) -> str:
    """Return user and host of a database URL."""
    try:
        address = read_database_url(url)
    except ValueError as error:
        return f"it {error}"
    return f"user {address.user} at {address.host}"
