"""Debian packages, downloaded with apt's own client into a private folder and unpacked there.

apt gets private folders for lists, state and archives, so it needs no root and changes nothing of the system. It checks
the signatures of the lists and the hashes of the packages, as always.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Where Debian's own keys are when apt does not trust them by default.
_KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg")
_INSTALLED = Path("/var/lib/dpkg/status")
_EDGES = re.compile(r"^ [ |](?:Pre)?Depends: (\S+)$")


class AptError(Exception):
    """A failure of apt; the text is the reason, in one line."""


@dataclass(frozen=True)
class Apt:
    """apt's client with folders of its own."""

    folder: Path
    options: tuple[str, ...]

    def update(self) -> None:
        """Download the package lists; raise AptError."""
        # Without the option, an unreachable server is a warning and leaves the lists empty.
        self.run("apt-get", "update", "--error-on=any")

    def names(self, pattern: str) -> list[str]:
        """Return the names of the packages on offer that match a regular expression."""
        found = self.run("apt-cache", "search", "--names-only", pattern)
        return [line.split(" ", 1)[0] for line in found.splitlines()]

    def libraries_of(self, packages: Sequence[str]) -> list[str]:
        """Return the packages, and the shared libraries that they need.

        Other programs are left out, and so is LLVM, which is large and only compiles queries.
        """
        plain = ("--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances")
        needs: dict[str, list[str]] = {}
        for line in self.run("apt-cache", "depends", "--recurse", *plain, *packages).splitlines():
            edge = _EDGES.match(line)
            if edge:
                needs[list(needs)[-1]].append(edge[1])
            elif not line.startswith((" ", "<")):
                needs[line] = []
        found: dict[str, None] = {}
        waiting = list(packages)
        while waiting:
            package = waiting.pop()
            if package not in found:
                found[package] = None
                waiting += [
                    each for each in needs.get(package, ()) if re.match("lib(?!llvm)", each) and each not in found
                ]
        return sorted(found)

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Download these packages and no others; raise AptError."""
        target = self.folder / "packages"
        target.mkdir()
        self.run("apt-get", "download", *packages, cwd=target)
        return sorted(target.glob("*.deb"))

    def download_missing(self, packages: Sequence[str]) -> list[Path]:
        """Download these packages and their missing dependencies; raise AptError."""
        self.run("apt-get", "install", "--download-only", "--no-install-recommends", "--no-upgrade", "-y", *packages)
        return sorted((self.folder / "archives").glob("*.deb"))

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """Run an apt command with these folders; raise AptError."""
        return run([command[0], *self.options, *command[1:]], cwd)


def private_apt(folder: Path, *, source: str = "", installed: bool = False) -> Apt:
    """Prepare apt in a folder.

    Args:
        folder: A new folder; it holds lists and archives afterwards.
        source: A line of sources.list; without one, the machine's own sources.
        installed: Whether apt knows the installed packages of the machine.
    """
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    nothing = folder / "status"
    nothing.touch()
    settings = {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": _INSTALLED if installed else nothing,
        "Dir::State::extended_states": folder / "extended_states",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Debug::NoLocking": "1",
        # apt's default account cannot enter root's cache.
        "APT::Sandbox::User": "root",
        "Acquire::AllowInsecureRepositories": "false",
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "20",
        "Acquire::https::Timeout": "20",
    }
    if source:
        (folder / "sources.list").write_text(f"{source}\n")
        settings |= {"Dir::Etc::sourcelist": folder / "sources.list", "Dir::Etc::sourceparts": "-"}
    return Apt(folder, ("-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))))


def debian_source(scratch: Path, suite: str) -> str:
    """Return the line that makes apt read a suite from the mirror that the machine uses; raise AptError."""
    options = ("-o", f"Dir::State::lists={scratch}", "-o", "Debug::NoLocking=1")
    printed = run(["apt-get", "update", "--print-uris", *options])
    mirror = re.search(r"^'(\S+?)/?dists/[a-z]+/InRelease'", printed, re.MULTILINE)
    if mirror is None:
        raise AptError("apt has no source that is a distribution's mirror")
    keyring = next(filter(lambda path: Path(path).is_file(), _KEYRINGS), None)
    signed = f"[signed-by={keyring}] " if keyring else ""
    return f"deb {signed}{mirror[1]} {suite} main"


def unpack(packages: Iterable[Path], target: Path) -> None:
    """Unpack packages into a folder; raise AptError."""
    for package in packages:
        run(["dpkg-deb", "-x", str(package), str(target)])


def run(command: Sequence[str], cwd: Path | None = None) -> str:
    """Run an apt command and return its output.

    Raises:
        AptError: The command fails or is missing; the text is the command's own error.
    """
    if shutil.which(command[0]) is None:
        raise AptError(f"there is no {command[0]} on this machine")
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("E: ") for line in lines if line.startswith("E: ")]
        raise AptError((errors or lines or [f"{command[0]} ended with {done.returncode}"])[0])
    return done.stdout


def install_as_root(packages: Sequence[str]) -> None:
    """Install packages on the machine without changing one that is installed.

    Raises:
        AptError: This is not root, apt would change a package, or it cannot install them.
    """
    if os.geteuid() != 0:
        raise AptError("only root can")
    with tempfile.TemporaryDirectory() as scratch:
        apt = private_apt(Path(scratch) / "apt", installed=True)
        apt.update()
        command = ["install", "--no-install-recommends", "--no-upgrade", "-y", *packages]
        # A line of a change names the version that is installed: `Inst name [old] (new ...)`.
        changed = re.findall(r"^(?:Inst|Remv) (\S+) \[", apt.run("apt-get", "-s", *command), re.MULTILINE)
        if changed:
            raise AptError(f"that would change {', '.join(changed)}")
        apt.run("apt-get", *command)
