"""A private overlay of the installation: the same server, with our extensions beside its own.

PostgreSQL finds `share` relative to its own binary. So a copy of `bin`, and links to everything else laid out as in the
installation, is a server that knows more extensions while no file is added to the system.
"""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from bubble_sync.local.installation import Installation

#: The parts of each stand-in's script, in the order they are joined.
STAND_INS = {
    "pg_net": ("types.sql", "urls.sql", "checks.sql", "requests.sql", "responses.sql", "worker.sql", "grants.sql"),
    "supabase_vault": ("cipher.sql", "secrets.sql", "functions.sql"),
}
#: What runs of an installation; each finds the others, and `share`, beside itself.
PROGRAMS = ("postgres", "initdb", "pg_ctl")
#: What a hosted project lets the role postgres create without being a superuser.
TRUSTED = ("pg_cron", "pg_net", "supabase_vault", "pgcrypto")


def _copy_programs(source: Path, target: Path) -> None:
    server, copy = source / "postgres", target / "postgres"
    if copy.is_file() and copy.stat().st_mtime == server.stat().st_mtime:
        return
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    # Where a distribution has them in a folder with everything else, that is left alone.
    for name in PROGRAMS:
        shutil.copy2(source / name, target / name)


def _link(target: Path, source: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(source)


def _trust(control: Path) -> None:
    text = control.read_text("utf-8")
    if "trusted = true" not in text:
        # The link leads into the installation: it gives way to a copy of our own.
        control.unlink()
        control.write_text(f"{text.rstrip()}\ntrusted = true\n", "utf-8")


def _add_stand_in(name: str, folder: Path) -> None:
    package = files("bubble_sync.local") / "extensions" / name
    control = (package / f"{name}.control").read_text("utf-8")
    version = control.split("default_version = '")[1].split("'")[0]
    script = "\n".join((package / part).read_text("utf-8") for part in STAND_INS[name])
    (folder / f"{name}.control").write_text(control, "utf-8")
    (folder / f"{name}--{version}.sql").write_text(script, "utf-8")


def build_overlay(installation: Installation, folder: Path) -> Path:
    """Lay the overlay out in a folder, or refresh it, and return its `bin`."""
    root = installation.root
    programs = folder / installation.bin.relative_to(root)
    share = folder / installation.share.relative_to(root)
    _copy_programs(installation.bin, programs)
    _link(folder / installation.lib.relative_to(root), installation.lib)
    extensions = share / "extension"
    shutil.rmtree(share, ignore_errors=True)
    extensions.mkdir(parents=True)
    for each in installation.share.iterdir():
        if each.name != "extension":
            _link(share / each.name, each)
    for each in (installation.share / "extension").iterdir():
        _link(extensions / each.name, each)
    for name in STAND_INS:
        if not (extensions / f"{name}.control").exists():
            _add_stand_in(name, extensions)
    for name in TRUSTED:
        _trust(extensions / f"{name}.control")
    return programs
