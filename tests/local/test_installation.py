"""Which PostgreSQL the platform takes, and what it says when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from bubble_sync.errors import PlatformError
from bubble_sync.local import installation
from bubble_sync.local.overlay import STAND_INS, build_overlay


def install(root: Path, major: int, *extensions: str) -> Path:
    """A PostgreSQL as far as it is looked at, laid out as Debian does."""
    bin_, lib, share = (
        root / part / str(major) / last for part, last in (("lib", "bin"), ("lib", "lib"), ("share", ""))
    )
    for folder in (bin_, lib, share / "extension"):
        folder.mkdir(parents=True)
    for name in ("postgres", "initdb", "pg_ctl", "sudo"):
        (bin_ / name).write_text("a program")
    config = bin_ / "pg_config"
    config.write_text(
        f"#!/bin/sh\necho 'BINDIR = {bin_}'\necho 'PKGLIBDIR = {lib}'\necho 'SHAREDIR = {share}'\n"
        f"echo 'VERSION = PostgreSQL {major}.4'\n"
    )
    config.chmod(0o755)
    (share / "postgres.bki").write_text("shared")
    for name in ("pgcrypto", *extensions):
        (share / "extension" / f"{name}.control").write_text(f"comment = 'real {name}'\n")
    return bin_


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with nothing but what the test installs."""
    places = (str(tmp_path / "lib" / "*" / "bin"),)
    monkeypatch.setattr(installation, "SERVER_PLACES", places)
    monkeypatch.setenv("PATH", "")
    return tmp_path


def test_the_newest_with_pg_cron_is_taken(machine):
    for major, extensions in ((15, ["pg_cron"]), (16, ["pg_cron"]), (17, [])):
        install(machine, major, *extensions)
    assert installation.find_installation().major == 16


def test_one_in_the_path_is_found_too(machine, monkeypatch):
    elsewhere = install(machine / "elsewhere", 15, "pg_cron")
    monkeypatch.setenv("PATH", str(elsewhere))
    assert installation.find_installation().bin == elsewhere


def test_without_any_the_error_names_both_packages(machine):
    install(machine, 14, "pg_cron")
    with pytest.raises(PlatformError, match="apt-get install postgresql-15 postgresql-15-cron"):
        installation.find_installation()


def test_without_pg_cron_the_error_names_its_package(machine):
    install(machine, 16)
    with pytest.raises(PlatformError, match="apt-get install postgresql-16-cron"):
        installation.find_installation()


def test_a_stand_in_is_put_in_only_where_the_real_one_is_missing(machine):
    install(machine, 15, "pg_cron", "pg_net")
    found = installation.find_installation()
    build_overlay(found, machine / "overlay")
    extensions = machine / "overlay" / "share" / "15" / "extension"
    assert (extensions / "pg_net.control").read_text() == "comment = 'real pg_net'\ntrusted = true\n"
    assert "stand-in" in (extensions / "supabase_vault.control").read_text()
    assert (found.share / "extension" / "pg_net.control").read_text() == "comment = 'real pg_net'\n"


def test_building_twice_refreshes_and_keeps_the_programs(machine):
    install(machine, 15, "pg_cron")
    found = installation.find_installation()
    first = (build_overlay(found, machine / "overlay") / "postgres").stat()
    (found.share / "extension" / "new.control").write_text("")
    programs = build_overlay(found, machine / "overlay")
    second = (programs / "postgres").stat()
    assert not (programs / "sudo").exists(), "only what runs is copied: bin may hold anything"
    assert second.st_ino == first.st_ino
    assert (machine / "overlay" / "share" / "15" / "extension" / "new.control").is_symlink()


def test_every_part_of_a_stand_in_is_listed_and_present():
    package = Path(installation.__file__).parent / "extensions"
    for name, parts in STAND_INS.items():
        assert {path.name for path in (package / name).glob("*.sql")} == set(parts)
