"""Load `sql/`: named queries, the observation block, and functions with a stack's constants."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import LiteralString, cast

from bubble_sync.specs import FunctionSpec, Owner

_PACKAGE = Path(__file__).parent
# An installed package contains the files; a checkout has them next to the package.
SQL_DIRECTORY = next(path for path in (_PACKAGE / "_sql", _PACKAGE.parent / "sql") if path.is_dir())

_QUERY_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_PART = re.compile(r"^    -- part: (?P<part>\w+) = (?P<subject>\w+) (?P<name>\w+)\n", re.MULTILINE)
_INCLUDE = re.compile(r"( *)-- include: (\w+) (\w+)$", re.MULTILINE)
_FUNCTION = re.compile(
    r"^create or replace function (?P<name>[\w.]+)\((?P<arguments>[^)]*)\)\n"
    r"returns (?P<returns>\w+(?:\[\])?)\n"
    r"language (?P<language>\w+)\n"
    r"(?P<volatility>volatile|stable|immutable)\n"
    r"security (?P<security>invoker|definer)\n"
    r"(?P<settings>set search_path = (?:''|pg_catalog, pg_temp)\n(?:set [\w.]+ = '[^'\n]+'\n)*)"
    r"as \$function\$(?P<body>.*?)\$function\$;\n\n"
    r"comment on function [\w.]+\([^)]*\) is '(?P<comment>[^']*)';$",
    re.MULTILINE | re.DOTALL,
)
_EMPTY = '""'
_CONSTANT = re.compile(
    r"^(?P<head> *(?P<name>\w+) constant (?P<type>integer|text|boolean|interval(?= := interval '\d+ days';)) := )"
    r"(?P<value>[^;\n]*);$",
    re.MULTILINE,
)
_HEADER = re.compile(r"^-- (title|needs|follows|only): (.+)$", re.MULTILINE)
_MEANING = re.compile(r"^-- ?(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Check:
    """A check of the doctor: a file of `sql/checks/`, named by its id."""

    id: str
    title: str
    meaning: str
    needs: tuple[str, ...]
    """Tables that the check requires."""
    follows: tuple[str, ...]
    """Checks with findings that explain this one."""
    only: str
    """The parameter that enables the check; empty for always."""
    text: LiteralString


@cache
def _queries(subject: str) -> Mapping[str, LiteralString]:
    text = (SQL_DIRECTORY / "queries" / f"{subject}.sql").read_text(encoding="utf-8")
    _, *parts = _QUERY_NAME.split(text)
    # The cast is safe: the text comes from a file of this package, never from input.
    return {name: cast("LiteralString", body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def query(subject: str, name: str) -> LiteralString:
    """Return the query `name` of `sql/queries/<subject>.sql` with its includes expanded."""
    return _whole(_queries(subject)[name])


def _whole(text: LiteralString) -> LiteralString:
    return _INCLUDE.sub(lambda one: query(one[2], one[3]).removesuffix(";"), text)


@cache
def checks() -> tuple[Check, ...]:
    """Return all checks, sorted by id."""
    return tuple(_check(file) for file in sorted((SQL_DIRECTORY / "checks").glob("*.sql")))


def _check(file: Path) -> Check:
    comment, _, select = file.read_text(encoding="utf-8").partition("\nselect")
    comment, _, common = comment.partition("\nwith ")
    lines = _HEADER.findall(comment)
    header = {word: " ".join(text for name, text in lines if name == word) for word, _ in lines}
    return Check(
        id=file.stem,
        title=header["title"],
        meaning=" ".join(_MEANING.findall(_HEADER.sub("", comment))).strip(),
        needs=tuple(header.get("needs", "").split()),
        follows=tuple(header.get("follows", "").split()),
        only=header.get("only", ""),
        text=_whole((f"with {common}\n" if common else "") + f"select{select}".strip()),
    )


def every_part() -> tuple[str, ...]:
    """Return the names of the observation block's parts, in order."""
    return tuple(match["part"] for match in _PART.finditer(query("observe", "block")))


@cache
def reading_block(parts: tuple[str, ...], answer: str) -> str:
    """Return the block of `sql/queries/observe.sql` with the queries of `parts`, ending with the statement `answer`.

    The only placeholders are the `%(name)s` in the declarations; the caller fills them.
    """
    block = query("observe", "block")
    if unknown := set(parts).difference(every_part()):
        raise ValueError(f"sql/queries/observe.sql has no part {sorted(unknown)}")

    def expanded(match: re.Match[str]) -> str:
        if match["part"] not in parts:
            return ""
        text = query(match["subject"], match["name"])
        if "answer :=" in text:
            return f"{text}\n"
        named = query("observe", "part").replace("{part}", match["part"])
        return named.replace("{query}", text.removesuffix(";")) + "\n"

    return _PART.sub(expanded, block).replace("-- answer\n", f"{answer};\n")


@cache
def _function_source(file: str) -> re.Match[str]:
    text = (SQL_DIRECTORY / "functions" / f"{file}.sql").read_text(encoding="utf-8")
    matches = list(_FUNCTION.finditer(text))
    if len(matches) != 1:
        raise ValueError(
            f"sql/functions/{file}.sql must hold exactly one function in the standard layout, not {len(matches)}"
        )
    return matches[0]


def with_parts(body: str) -> str:
    """Expand the includes of a function's body."""
    return _INCLUDE.sub(lambda one: indent(query(one[2], one[3]), one[1]), body)


def _settings(source: re.Match[str]) -> tuple[str, ...]:
    """Return the function's settings in the server's notation."""
    written = [line.removeprefix("set ").split(" = ") for line in source["settings"].splitlines()]
    return tuple("=".join((name, value.strip("'") or _EMPTY)) for name, value in written)


def function(
    file: str, constants: Mapping[str, int | str], owner: Owner, render: Callable[[str], str] = str
) -> FunctionSpec:
    """Return the function of a file with the given `constants`; `render` puts in the names of a stack."""
    source = _function_source(file)
    return FunctionSpec(
        name=render(source["name"]),
        arguments=" ".join(source["arguments"].split()),
        returns=source["returns"],
        body=with_constants(render(with_parts(source["body"])), constants),
        language=source["language"],
        security=source["security"],
        volatility=source["volatility"],
        config=_settings(source),
        comment=source["comment"],
        stack=owner.stack,
        project_ref=owner.project_ref,
    )


def all_functions(render: Callable[[str], str]) -> Iterator[FunctionSpec]:
    """Yield every function of `sql/functions/` with its default constants."""
    for file in sorted((SQL_DIRECTORY / "functions").glob("*.sql")):
        yield function(file.stem, {}, Owner(""), render)


def constants_of(file: str) -> dict[str, int | str]:
    """Return the constants of a function file with their default values."""
    return constants_in(_function_source(file)["body"])


def constants_in(body: str) -> dict[str, int | str]:
    """Return the constants of a body; an invalid number or boolean stays text."""
    return {match["name"]: _value(match["type"], match["value"]) for match in _CONSTANT.finditer(body)}


def _value(kind: str, text: str) -> int | str:
    # PostgreSQL has no longer integers.
    if kind == "integer" and text.isdecimal() and len(text) < 20:
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text.removeprefix("interval ").strip("'")


def with_constants(body: str, constants: Mapping[str, int | str]) -> str:
    """Replace the value of each named constant; raise ValueError unless it is declared exactly once."""
    for name, value in constants.items():
        declared = [match for match in _CONSTANT.finditer(body) if match["name"] == name]
        if len(declared) != 1:
            raise ValueError(f"constant {name!r} must be declared once, not {len(declared)} times")
        (match,) = declared
        body = f"{body[: match.start()]}{match['head']}{_literal(match['type'], name, value)};{body[match.end() :]}"
    return body


def _literal(kind: str, name: str, value: int | str) -> str:
    if kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if kind == "boolean" and isinstance(value, bool):
        return str(value).lower()
    if kind == "text" and isinstance(value, str) and value.isprintable():
        quoted = value.replace("'", "''")
        return f"'{quoted}'"
    if kind == "interval" and isinstance(value, str) and re.fullmatch(r"\d+ days", value):
        return f"interval '{value}'"
    raise ValueError(f"constant {name!r} is declared as {kind}: {value!r} is not a valid value")
