"""Make a project from the files of `template/`, which `pulumi new` copies too."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

import yaml

from bubble_sync.config.project_folder import is_stack_name
from bubble_sync.config.project_ref import is_project_ref
from bubble_sync.errors import ConfigurationError

_PACKAGE = Path(__file__).parents[1]
# An installed package contains the files; a checkout has them next to the package.
TEMPLATE = next(path for path in (_PACKAGE / "_template", _PACKAGE.parent / "template") if path.is_dir())

Forge = Literal["github", "gitlab", "none"]
FORGES: tuple[Forge, ...] = get_args(Forge)
WORKFLOWS = {"github": ".github/workflows/bubble-sync.yml", "gitlab": ".gitlab-ci.yml"}
"""The file that each forge runs; the template has the first one."""
STACKS = ("staging", "prod")
"""The stacks of the template."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""Pulumi's own rule for the name of a project."""
_LOCAL = "local"
_SCHEMES = ("azblob", "file", "gs", "https", "s3")
_TEMPLATE_SECTION = re.compile(r"^template:\n(?:  .*\n)*", re.MULTILINE)
_REF = re.compile(r"^(?P<key>  bubble-sync:projectRef: ).*$", re.MULTILINE)
_SET_REF = re.compile(r"^pulumi config set bubble-sync:projectRef .*\n", re.MULTILINE)
_ALL = ", ".join(STACKS)
_FIRST = re.compile("|".join((STACKS[0], STACKS[0].upper())))
_CI = re.compile(rf"^\| `{re.escape(WORKFLOWS['github'])}`.*\n|^## CI\n(?:(?!## ).*\n)*", re.MULTILINE)
_OWNER = re.compile(r"^In .* replace `OWNER` .*\n", re.MULTILINE)
_NOTE = re.compile(r" Replace OWNER with the owner of bubble-sync's repository\.")
_ACTION = "OWNER/bubble-sync@v0.1.0"
_ON_GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
_LOGIN = re.compile(r"^pulumi login.*\n", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """The git repository that this package was installed from."""

    url: str
    revision: str
    """The revision in the URL, or else the commit."""
    pinned: bool
    """Whether the URL had a revision."""

    @property
    def requirement(self) -> str:
        """Return the package as a dependency; without a revision in the URL, the lock file has the commit."""
        return f"bubble-sync @ git+{self.url}{f'@{self.revision}' if self.pinned else ''}"

    @property
    def action(self) -> str:
        """Return the action in the repository, as a workflow names it; empty for another forge than GitHub."""
        found = _ON_GITHUB.fullmatch(self.url)
        return f"{found[1]}@{self.revision}" if found else ""


@dataclass(frozen=True, kw_only=True)
class NewProject:
    """The answers that make a project."""

    name: str
    stacks: Mapping[str, str]
    """The project ref of each stack, in the order of deployment; an empty one is set later."""
    forge: Forge
    backend: str
    """Pulumi's backend; empty for the one of `pulumi login`."""
    source: Source | None = None
    """Where the package comes from, if not from an index."""

    @property
    def needs_owner(self) -> bool:
        """Return whether the workflow leaves the owner of the action open."""
        return self.forge == "github" and not (self.source and self.source.action)

    @property
    def needs_another_backend(self) -> bool:
        """Return whether the backend is a folder of this machine, which CI cannot reach."""
        return self.forge != "none" and urlsplit(self.backend).scheme == "file"


def check_name(text: str) -> str:
    """Return the name of a project; raise ConfigurationError."""
    if not _NAME.fullmatch(text):
        raise ConfigurationError(
            f"{text!r} cannot name a project; use at most 100 letters, digits, _, . and -, as in shop-sync"
        )
    return text


def check_stacks(text: str) -> dict[str, str]:
    """Return stacks with their project refs from `NAME[=REF],...`; raise ConfigurationError."""
    stacks: dict[str, str] = {}
    for word in text.split(","):
        name, _, ref = (part.strip() for part in word.partition("="))
        if name == _LOCAL:
            raise ConfigurationError(f"{name!r} means the platform on this machine; choose another name for the stack")
        # A first hyphen would make an option of the name.
        if not is_stack_name(name) or not name[0].isalnum():
            raise ConfigurationError(
                f"{name!r} cannot name a stack; use letters, digits, _, . and -, as in {','.join(STACKS)}"
            )
        if variable_of(name) in map(variable_of, stacks):
            raise ConfigurationError(f"two stacks would share the variable {variable_of(name)}: rename {name!r}")
        stacks[name] = check_ref(ref)
    return stacks


def check_ref(text: str) -> str:
    """Return a project ref, or an empty text; raise ConfigurationError."""
    if text and not is_project_ref(text):
        raise ConfigurationError(
            f"{text!r} is not a project ref; it is the part before .supabase.co in the project URL"
        )
    return text


def check_forge(text: str) -> Forge:
    """Return a forge; raise ConfigurationError."""
    for forge in FORGES:
        if text == forge:
            return forge
    raise ConfigurationError(f"{text!r} is not a forge; choose one of {', '.join(FORGES)}")


def check_backend(text: str) -> str:
    """Return the URL of a backend, or an empty text; raise ConfigurationError."""
    if not text:
        return text
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES or not (parts.netloc or parts.path):
        raise ConfigurationError(
            f"{text!r} is not a backend; give a URL that begins with {'://, '.join(_SCHEMES)}://, "
            "or an empty one for the backend of `pulumi login`"
        )
    if parts.password:
        raise ConfigurationError(
            "the URL of the backend holds a password, and Pulumi.yaml is no place for a secret: "
            "leave the URL empty, and set PULUMI_BACKEND_URL"
        )
    return text


def variable_of(stack: str) -> str:
    """Return the environment variable with the database URL of a stack."""
    return f"BUBBLE_SYNC_{_in_capitals(stack)}_DATABASE_URL"


def own_source() -> Source | None:
    """Return the git repository of the installed package; None for an index, a file, or a URL that holds a secret."""
    with suppress(PackageNotFoundError, ValueError, KeyError):
        found = json.loads(distribution("bubble-sync").read_text("direct_url.json") or "{}")
        asked = found["vcs_info"].get("requested_revision")
        if "@" not in urlsplit(found["url"]).netloc:
            return Source(found["url"], asked or found["vcs_info"]["commit_id"], pinned=bool(asked))
    return None


def write_project(folder: Path, project: NewProject) -> list[str]:
    """Write the files of a project, and return their names; raise ConfigurationError, with nothing written."""
    if blocked := [path for path in (folder, *folder.parents) if _is_no_folder(path)]:
        raise ConfigurationError(f"{blocked[0]} is not a folder. Nothing was written: name another folder")
    files = files_of(project)
    if found := sorted({name for file in files for name in _in_the_way(folder, file)}):
        raise ConfigurationError(
            f"in the way in {folder}: {', '.join(found)}. Nothing was written: move these files, or name another folder"
        )
    made: list[Path] = []
    try:
        for name, content in files.items():
            _write(folder / name, content, made)
    except OSError as problem:
        _remove(made)
        raise ConfigurationError(
            f"{problem.filename} cannot be written ({problem.strerror}). Nothing was kept: name another folder"
        ) from None
    return list(files)


def _in_the_way(folder: Path, file: str) -> Iterator[str]:
    """Yield the file's name if it is taken, or the first part of its path that is no folder."""
    *parents, name = (Path(*Path(file).parts[: count + 1]) for count in range(len(Path(file).parts)))
    for part in parents:
        if _is_no_folder(folder / part):
            yield str(part)
            return
    if os.path.lexists(folder / name):
        yield file


def _is_no_folder(path: Path) -> bool:
    return os.path.lexists(path) and not path.is_dir()


def _write(path: Path, content: str, made: list[Path]) -> None:
    for folder in reversed(path.parents):
        if not folder.is_dir():
            folder.mkdir()
            made.append(folder)
    # Never over a file that another process has just made.
    with path.open("x", encoding="utf-8", newline="\n") as file:
        made.append(path)
        file.write(content)


def _remove(made: Sequence[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def files_of(project: NewProject) -> dict[str, str]:
    """Return the files of a project by their names, sorted."""
    return dict(sorted(_files(project)))


def _files(project: NewProject) -> Iterator[tuple[str, str]]:
    for name, text in _sources(project.forge):
        text = text.replace("${PROJECT}", project.name)
        if name == _stack_file(STACKS[0]):
            yield from ((_stack_file(stack), _settings(text, stack, ref)) for stack, ref in project.stacks.items())
        elif name not in map(_stack_file, STACKS):
            yield name, _of_the_project(name, text, project)


def _sources(forge: Forge) -> Iterator[tuple[str, str]]:
    """Yield the files of the template, with the workflow of the forge alone."""
    for path in TEMPLATE.rglob("*"):
        name = path.relative_to(TEMPLATE).as_posix()
        # pip compiles the program.
        if path.is_file() and path.suffix != ".pyc" and (name != WORKFLOWS["github"] or forge == "github"):
            yield name, path.read_text("utf-8")
    if forge == "gitlab":
        yield WORKFLOWS[forge], Path(__file__).with_name("gitlab-ci.yml").read_text("utf-8")


def _stack_file(stack: str) -> str:
    return f"Pulumi.{stack}.yaml"


def _of_the_project(name: str, text: str, project: NewProject) -> str:
    if name == "Pulumi.yaml":
        return _description(text, project)
    if project.source:
        text = _from_source(name, text, project.source)
    text = _for_each_stack(text, list(project.stacks))
    return _page(text, project) if name == "README.md" else text


def _from_source(name: str, text: str, source: Source) -> str:
    """Return a file with the repository in place of the index and of OWNER."""
    if name == "pyproject.toml":
        return text.replace('"bubble-sync"]', f'"{source.requirement}"]')
    if source.action:
        return _NOTE.sub("", text).replace(_ACTION, source.action)
    return text


def _for_each_stack(text: str, stacks: Sequence[str]) -> str:
    """Repeat for each stack the lines that the template has for both; other places get all stacks, or the first."""
    lines, written = text.splitlines(keepends=True), ""
    while lines:
        line = lines.pop(0)
        if _ALL in line:
            written += line.replace(_ALL, ", ".join(stacks))
            continue
        paired = lines and lines[0] != line and lines[0] == _named(line, STACKS[1])
        written += "".join(_named(line, stack) for stack in (stacks if paired else stacks[:1]))
        del lines[: bool(paired)]
    return written


def _named(text: str, stack: str) -> str:
    """Return a text about the template's first stack for another one."""
    return _FIRST.sub(lambda found: stack if found[0] == STACKS[0] else _in_capitals(stack), text)


def _in_capitals(stack: str) -> str:
    return re.sub(r"\W", "_", stack, flags=re.ASCII).upper()


def _description(text: str, project: NewProject) -> str:
    """Return Pulumi.yaml as `pulumi new` leaves it, with the backend."""
    text = _TEMPLATE_SECTION.sub("", text).replace(f"name: {project.name}\n", f"name: {_scalar(project.name)}\n")
    return text + (yaml.safe_dump({"backend": {"url": project.backend}}) if project.backend else "")


def _settings(text: str, stack: str, ref: str) -> str:
    """Return a stack's file, with the project ref if it is known."""
    text = _named(text, stack)
    return _REF.sub(rf"\g<key>{_scalar(ref)}", text) if ref else text


def _scalar(text: str) -> str:
    """Return a name as YAML reads it back: as text, also when it looks like a number or a boolean."""
    # 1e3 is a number for Pulumi and none for PyYAML.
    plain = text[0].isalpha() and isinstance(yaml.safe_load(text), str)
    return text if plain else json.dumps(text)


def _page(text: str, project: NewProject) -> str:
    """Return the README without what the answers have done or ruled out."""
    if next(iter(project.stacks.values())):
        text = _SET_REF.sub("", text)
    if project.forge == "none":
        text = _CI.sub("", text)
    if not project.needs_owner:
        text = _OWNER.sub("", text)
    text = text.replace(WORKFLOWS["github"], WORKFLOWS.get(project.forge, ""))
    return _LOGIN.sub(_reach(project.backend), text) if project.backend else text


def _reach(backend: str) -> str:
    """Return the command that a backend needs first, or nothing."""
    parts = urlsplit(backend)
    if parts.scheme == "https":
        return "pulumi login\n"
    folder = f"{parts.netloc}{parts.path}"
    return f"mkdir -p {folder if folder.startswith('~/') else shlex.quote(folder)}\n" if parts.scheme == "file" else ""


def first_steps(project: NewProject) -> list[str]:
    """Return the commands between `init` and the first `pulumi up`: the first block of the README."""
    return files_of(project)["README.md"].partition("```sh\n")[2].partition("```")[0].splitlines()
