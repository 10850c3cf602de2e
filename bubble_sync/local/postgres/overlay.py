"""A private overlay of the installation: the same server, with our extensions next to its own.

PostgreSQL finds `share` relative to its own binary. So a copy of `bin` with links to all other files is a server with
more extensions, and the system stays unchanged. For a private server the overlay's programs are scripts: they start the
real programs through a copy of the dynamic loader.
"""

from __future__ import annotations

import shlex
import shutil
from importlib.resources import files
from pathlib import Path

from bubble_sync.files import whole_folder
from bubble_sync.local.postgres.account import Account
from bubble_sync.local.postgres.installation import Installation, copy_server, find_installation

#: The parts of each emulator's script, in the order they are joined.
EMULATORS = {
    "pg_net": ("types.sql", "urls.sql", "checks.sql", "requests.sql", "responses.sql", "worker.sql", "grants.sql"),
    "supabase_vault": ("cipher.sql", "secrets.sql", "functions.sql"),
}
#: The programs of the overlay; each finds the others and `share` by its own place.
PROGRAMS = ("postgres", "initdb", "pg_ctl")
#: The copy of a private server's dynamic loader.
LOADER = "loader"
#: What a hosted project lets the role postgres create without being a superuser.
TRUSTED = ("pg_cron", "pg_net", "supabase_vault", "pgcrypto")


def server_program(programs: Path) -> Path:
    """Return the file that the server's processes run, given the overlay's `bin`."""
    loader = programs / LOADER
    return loader if loader.exists() else programs / "postgres"


def _copy_programs(installation: Installation, target: Path) -> None:
    source = installation.loader or installation.bin / "postgres"
    copy = target / (LOADER if installation.loader else "postgres")
    if copy.is_file() and copy.stat().st_mtime == source.stat().st_mtime:
        return
    shutil.rmtree(target, ignore_errors=True)
    with whole_folder(target) as half:
        half.mkdir(parents=True)
        if installation.loader:
            # A copy for each platform: its path identifies the platform's processes.
            shutil.copy2(installation.loader, half / LOADER)
        for name in PROGRAMS:
            if installation.loader:
                _write_starter(installation, half / name, target)
            else:
                # Only these: some distributions keep all programs of the system in the same folder.
                shutil.copy2(installation.bin / name, half / name)


def _write_starter(installation: Installation, program: Path, target: Path) -> None:
    """Write a program that will be in the folder `target`."""
    words = [
        str(target / LOADER),
        "--argv0",
        str(target / program.name),
        "--library-path",
        ":".join(map(str, installation.libraries)),
        str(installation.bin / program.name),
    ]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
    program.chmod(0o755)


def _link(target: Path, source: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(source)


def _trust(control: Path) -> None:
    text = control.read_text("utf-8")
    if "trusted = true" not in text:
        # The link leads into the installation: replace it by our own copy.
        control.unlink()
        control.write_text(f"{text.rstrip()}\ntrusted = true\n", "utf-8")


def _add_emulator(name: str, folder: Path) -> None:
    package = files("bubble_sync.local") / name.removeprefix("supabase_") / "extension"
    control = (package / f"{name}.control").read_text("utf-8")
    version = control.split("default_version = '")[1].split("'")[0]
    script = "\n".join((package / part).read_text("utf-8") for part in EMULATORS[name])
    (folder / f"{name}.control").write_text(control, "utf-8")
    (folder / f"{name}--{version}.sql").write_text(script, "utf-8")


def lay_out(folder: Path, account: Account, major: int | None) -> Path:
    """Build a platform's overlay of the server that fits its data, and return the overlay's `bin`.

    Args:
        folder: The platform's folder.
        account: The server's OS account.
        major: The major version of the data; without data, the best server.
    """
    server = find_installation(major)
    if server.private and not account.can_read(server.bin / "postgres"):
        # The server's account cannot enter root's cache.
        server = copy_server(server, folder / "server")
        account.own(folder / "server")
    programs = build_overlay(server, folder / "usr")
    account.own(folder / "usr")
    return programs


def build_overlay(installation: Installation, folder: Path) -> Path:
    """Lay the overlay out in a folder, or refresh it, and return its `bin`."""
    root = installation.root
    programs = folder / installation.bin.relative_to(root)
    share = folder / installation.share.relative_to(root)
    _copy_programs(installation, programs)
    _link(folder / installation.lib.relative_to(root), installation.lib)
    extensions = share / "extension"
    shutil.rmtree(share, ignore_errors=True)
    extensions.mkdir(parents=True)
    for each in installation.share.iterdir():
        if each.name != "extension":
            _link(share / each.name, each)
    for each in (installation.share / "extension").iterdir():
        _link(extensions / each.name, each)
    for name in EMULATORS:
        if not (extensions / f"{name}.control").exists():
            _add_emulator(name, extensions)
    for name in TRUSTED:
        _trust(extensions / f"{name}.control")
    return programs
