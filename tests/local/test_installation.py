"""Which PostgreSQL the platform takes, and what it says when there is none."""

from __future__ import annotations

import os
import platform as machine_facts
from pathlib import Path

import pytest

from bubble_sync.errors import PlatformError
from bubble_sync.local.postgres import installation
from bubble_sync.local.postgres.account import Account
from bubble_sync.local.postgres.cluster import Cluster
from bubble_sync.local.postgres.overlay import EMULATORS, LOADER, build_overlay, server_program
from tests.fixtures.killing import each_kill, entries


def control(version: str) -> str:
    return f"comment = 'real'\ndefault_version = '{version}'\n"


def install(root: Path, major: int, cron: str | None = None, *extensions: str) -> Path:
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
        (share / "extension" / f"{name}.control").write_text(control("1.0"))
    if cron is not None:
        (share / "extension" / "pg_cron.control").write_text(control(cron))
    return bin_


def unpack(cache: Path, major: int, cron: str | None = "1.6", loader: str = "usr/lib/x86_64-linux-gnu") -> Path:
    """A private PostgreSQL as `make setup` unpacks it."""
    folder = cache / "bubble-sync" / f"postgresql-{major}-{machine_facts.machine()}"
    programs, share = folder / f"usr/lib/postgresql/{major}/bin", folder / f"usr/share/postgresql/{major}/extension"
    for each in (programs, programs.with_name("lib"), share, folder / loader, folder / "usr/lib/x86_64-linux-gnu"):
        each.mkdir(parents=True, exist_ok=True)
    for name in ("postgres", "initdb", "pg_ctl"):
        (programs / name).write_text("a program")
    (folder / loader / "ld-linux-x86-64.so.2").write_text("a loader")
    for name, version in {"pgcrypto": "1.3", "pg_cron": cron}.items():
        if version:
            (share / f"{name}.control").write_text(control(version))
    return programs


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but what the test installs."""
    monkeypatch.setattr(installation, "SERVER_PLACES", (str(tmp_path / "lib" / "*" / "bin"),))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(installation.SERVER_VARIABLE, raising=False)
    return tmp_path


def chosen(major: int | None = None) -> str:
    """Which server is taken, in words."""
    found = installation.find_installation(major)
    return f"{'private' if found.private else 'own'} {found.major}"


def test_the_newest_with_pg_cron_is_taken(machine: Path):
    for major, cron in ((15, "1.4-1"), (16, "1.6"), (17, None)):
        install(machine, major, cron)
    assert chosen() == "own 16"


def test_one_in_the_path_is_found_too(machine: Path, monkeypatch: pytest.MonkeyPatch):
    elsewhere = install(machine / "elsewhere", 15, "1.4-1")
    monkeypatch.setenv("PATH", str(elsewhere))
    assert installation.find_installation().bin == elsewhere


@pytest.mark.parametrize(
    ("own", "private", "taken"),
    [
        ((17, "1.6"), (17, "1.6"), "own 17"),
        ((18, "1.6"), (17, "1.6"), "own 18"),
        ((17, "1.5"), (17, "1.6"), "private 17"),
        ((17, "1.10"), (17, "1.6"), "own 17"),
        ((17, None), (17, "1.6"), "private 17"),
        ((15, "1.4-1"), (17, "1.6"), "private 17"),
        ((16, "1.6"), (15, "1.4-1"), "own 16"),
        ((15, "1.4-1"), (16, "1.6"), "private 16"),
        ((15, "1.4-1"), (15, "1.4-1"), "own 15"),
    ],
)
def test_the_machines_own_comes_first_where_it_is_as_hosted_projects_have_it(
    machine: Path, own: tuple[int, str | None], private: tuple[int, str | None], taken: str
):
    install(machine, *own)
    unpack(machine / "cache", *private)
    assert chosen() == taken


def test_a_major_version_can_be_asked_for(machine: Path, monkeypatch: pytest.MonkeyPatch):
    install(machine, 17, "1.6")
    unpack(machine / "cache", 15, "1.4-1", loader="lib/x86_64-linux-gnu")
    assert chosen(15) == "private 15"
    monkeypatch.setenv(installation.SERVER_VARIABLE, "15")
    assert installation.wanted_major() == 15
    with pytest.raises(
        PlatformError, match="PostgreSQL 16 with pg_cron is not installed: run `POSTGRES=16 make setup`"
    ):
        installation.find_installation(16)


@pytest.mark.parametrize("text", ["14", "seventeen", "17.2", "-17", " "])
def test_a_version_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv(installation.SERVER_VARIABLE, text)
    with pytest.raises(PlatformError, match=r"^POSTGRES is '.*', not a major version >= 15"):
        installation.wanted_major()


def test_without_any_the_error_says_what_to_run(machine: Path):
    install(machine, 14, "1.6")
    with pytest.raises(PlatformError, match="no PostgreSQL >= 15 with pg_cron on this machine: run `make setup`"):
        installation.find_installation()


def test_without_pg_cron_the_error_says_so(machine: Path):
    install(machine, 16)
    with pytest.raises(PlatformError, match="PostgreSQL 16 is here without pg_cron: run `make setup`"):
        installation.find_installation()


def test_what_is_left_of_an_interrupted_download_is_no_server(machine: Path):
    half = unpack(machine / "cache", 17)
    (half / "postgres").parents[5].rename(machine / "cache/bubble-sync/postgresql.partial")
    with pytest.raises(PlatformError, match="run `make setup`"):
        installation.find_installation()


def test_a_emulator_is_put_in_only_where_the_real_one_is_missing(machine: Path):
    install(machine, 15, "1.4-1", "pg_net")
    found = installation.find_installation()
    build_overlay(found, machine / "overlay")
    extensions = machine / "overlay" / "share" / "15" / "extension"
    assert (extensions / "pg_net.control").read_text() == f"{control('1.0')}trusted = true\n"
    assert "emulator" in (extensions / "supabase_vault.control").read_text()
    assert (found.share / "extension" / "pg_net.control").read_text() == control("1.0")


def test_building_twice_refreshes_and_keeps_the_programs(machine: Path):
    install(machine, 15, "1.4-1")
    found = installation.find_installation()
    first = (build_overlay(found, machine / "overlay") / "postgres").stat()
    (found.share / "extension" / "new.control").write_text("")
    programs = build_overlay(found, machine / "overlay")
    second = (programs / "postgres").stat()
    assert not (programs / "sudo").exists(), "only what runs is copied: bin may hold anything"
    assert second.st_ino == first.st_ino
    assert server_program(programs) == programs / "postgres"
    assert (machine / "overlay" / "share" / "15" / "extension" / "new.control").is_symlink()


def test_a_private_server_is_started_through_a_loader_of_the_platforms_own(machine: Path):
    real = unpack(machine / "a cache", 17)
    found = installation.private_installation(real.parents[4])
    assert found is not None
    programs = build_overlay(found, machine / "overlay")
    assert programs == machine / "overlay/lib/postgresql/17/bin"
    assert server_program(programs) == programs / LOADER
    assert (programs / LOADER).read_text() == "a loader"
    starter = (programs / "postgres").read_text()
    assert f"'{real / 'postgres'}' \"$@\"" in starter
    assert f"--argv0 {programs / 'postgres'}" in starter


def test_a_copy_of_a_private_server_is_whole_and_its_own(machine: Path):
    real = unpack(machine / "cache", 17)
    found = installation.find_installation()
    copy = installation.copy_server(found, machine / "copy")
    assert copy.folder == machine / "copy"
    assert (copy.bin / "postgres").read_text() == (real / "postgres").read_text()
    assert copy.loader is not None
    assert copy.loader.is_relative_to(machine / "copy")
    assert all(each.is_relative_to(machine / "copy") for each in (copy.lib, copy.share, *copy.libraries))
    assert installation.copy_server(found, machine / "copy") == copy


@pytest.mark.parametrize("kind", ["the machine's own", "private"])
def test_an_overlay_that_a_kill_has_left_half_made_is_completed_by_the_next_run(machine: Path, kind: str):
    if kind == "private":
        unpack(machine / "cache", 17)
    else:
        install(machine, 15, "1.4-1")
    found, overlay = installation.find_installation(), machine / "overlay"
    build_overlay(found, overlay)
    whole = entries(overlay)

    killed = 0
    for _ in each_kill(overlay, lambda: build_overlay(found, overlay)):
        build_overlay(found, overlay)
        assert entries(overlay) == whole
        killed += 1

    assert killed > 20


def test_a_copy_of_a_server_or_a_cluster_that_a_kill_has_left_half_made_is_completed_by_the_next_run(machine: Path):
    real = unpack(machine / "cache", 17)
    (real / "initdb").write_text('#!/bin/sh\nmkdir -p "$2" && echo 17 > "$2/PG_VERSION"\n')
    (real / "initdb").chmod(0o755)
    found, folder = installation.find_installation(), machine / "platform"

    def create() -> None:
        folder.mkdir(exist_ok=True)
        copy = installation.copy_server(found, folder / "server")
        Cluster(folder, copy.bin, 5432, Account("me", os.geteuid(), os.getegid())).create()

    create()
    whole = set(entries(folder))

    for _ in each_kill(folder, create):
        create()
        assert {name for name in entries(folder) if not name.startswith(".vault_root_key.")} == whole
        assert (folder / "data" / "PG_VERSION").read_text() == "17\n"
        key = folder / "vault_root_key"
        assert (len(key.read_text()), key.stat().st_mode & 0o777) == (64, 0o600)


def test_every_part_of_a_emulator_is_listed_and_present():
    package = Path(installation.__file__).parents[1]
    for name, parts in EMULATORS.items():
        scripts = (package / name.removeprefix("supabase_") / "extension").glob("*.sql")
        assert {path.name for path in scripts} == set(parts)
