"""The platform starts, survives what is done to it, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import tempfile
from pathlib import Path

import httpx
import psycopg
import pytest

from bubble_sync.errors import PlatformError
from bubble_sync.local.platform import Platform
from bubble_sync.local.postgres import account
from bubble_sync.local.processes import Emulator, end_process, started_at


@pytest.fixture(scope="module")
def own():
    """A platform that may be hurt."""
    hurt = Platform(Path(tempfile.mkdtemp(prefix="bst-")))
    hurt.start()
    yield hurt
    hurt.remove()


def pids(platform):
    return {part.name: part.pid for part in platform.status().parts}


def answers(platform):
    """Send a request from the database to the Edge Function and return the status that came back."""
    addresses = platform.addresses()
    with psycopg.connect(addresses.database_url, autocommit=True) as connection:
        connection.execute("create extension if not exists pg_net schema extensions")
        connection.execute("select net.check_worker_is_up()")
        (request,) = connection.execute("select net.http_post(%s)", (addresses.endpoint_url,)).fetchone()
        return connection.execute(
            "select (response).status_code from net._http_collect_response(%s, async := false)", (request,)
        ).fetchone()[0]


def test_starting_twice_changes_nothing(own):
    before = pids(own)
    addresses = own.addresses()
    assert own.start() == addresses
    assert pids(own) == before


def test_another_process_reads_the_same_addresses(own):
    assert Platform(own.folder).addresses() == own.addresses()
    assert Platform(own.folder).status().up


@pytest.mark.parametrize("name", ["postgres", "net_worker", "edge_function"])
def test_a_killed_process_is_found_down_and_the_next_start_repairs_it(own, name):
    before = pids(own)
    end_process(before[name], signal.SIGKILL)
    assert not own.status().up
    assert pids(own)[name] is None
    addresses = own.addresses()
    assert own.start() == addresses
    assert own.status().up
    assert answers(own) == 404
    after = pids(own)
    assert after[name] != before[name]


def test_everything_killed_at_once_is_repaired_and_the_data_is_still_there(own):
    made = own.sign_up("survivor@example.test")
    for pid in pids(own).values():
        end_process(pid, signal.SIGKILL)
    own.start()
    with psycopg.connect(own.addresses().database_url) as connection:
        assert connection.execute("select id::text from public.sync_queue").fetchall() == [(made.item_id,)]


def test_a_reused_pid_is_not_taken_for_ours_and_not_ended(own):
    own.net_worker.stop()
    record = own.folder / "net_worker.pid"
    record.write_text(json.dumps({"pid": os.getpid(), "started": "1"}))
    assert pids(own)["net_worker"] is None
    own.start()
    assert pids(own)["net_worker"] != os.getpid()


def test_a_stale_pid_file_of_the_server_does_not_keep_it_from_starting(own):
    own.stop()
    (own.folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    own.start()
    assert own.status().up


def test_stop_keeps_the_data_and_the_addresses(own):
    addresses = own.addresses()
    own.stop()
    assert not own.status().up
    assert own.start() == addresses


def test_only_its_owner_can_enter_the_folder_and_read_the_addresses(own):
    assert stat.S_IMODE(own.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((own.folder / "addresses.json").stat().st_mode) == 0o600


def test_no_secret_is_in_a_command_line_a_surrounding_or_a_log(own):
    addresses = own.addresses()
    own.stop()
    own.start({"log_statement": "all"})
    texts = [path.read_bytes() for path in own.folder.glob("*.log")]
    for pid in pids(own).values():
        texts += [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
    for secret in (addresses.password, addresses.service_role_key, addresses.secret_key):
        assert not any(secret.encode() in text for text in texts)
        assert secret not in repr(addresses)
        assert secret not in str(own.status())


def test_the_password_is_needed_over_tcp(own):
    addresses = own.addresses()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(addresses.database_url.replace(addresses.password, "wrong"))


def test_removing_leaves_no_process_and_no_folder():
    platform = Platform(Path(tempfile.mkdtemp(prefix="bst-")))
    addresses = platform.start()
    running = pids(platform)
    platform.remove()
    assert [pid for pid in running.values() if started_at(pid)] == []
    assert not platform.folder.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(addresses.endpoint_url, trust_env=False)
    platform.remove()


def test_a_checkout_always_has_the_same_short_folder(tmp_path):
    folder = Platform.for_checkout(tmp_path).folder
    assert folder == Platform.for_checkout(tmp_path).folder
    assert folder != Platform.for_checkout(tmp_path / "other").folder
    assert folder.parent == Path(tempfile.gettempdir())
    assert len(folder.name) == len("bubble-sync-12345678")


def test_a_folder_that_is_a_link_is_refused(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for step in (Platform(link).start, Platform(link).stop):
        with pytest.raises(PlatformError, match="is not a folder of OS user"):
            step()


def test_a_folder_of_someone_else_is_refused(tmp_path, monkeypatch):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    someone = account.Account("someone", 4242, 4242)
    monkeypatch.setattr(account.os, "geteuid", lambda: 4242)
    with pytest.raises(PlatformError, match="is not a folder of OS user someone"):
        account.refuse_foreign_owner(theirs, someone)


def test_a_folder_too_long_for_a_socket_is_refused_with_the_way_out():
    with tempfile.TemporaryDirectory(prefix="bst-" + "x" * 100) as long:
        platform = Platform(Path(long) / "p")
        with pytest.raises(PlatformError, match="set TMPDIR to a shorter directory"):
            platform.start()


def test_a_folder_that_the_server_cannot_enter_is_refused_with_the_way_out(tmp_path):
    tmp_path.chmod(0o700)
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    with pytest.raises(PlatformError, match="set TMPDIR to a directory open to it"):
        account.Account("nobody", 65534, 65534).run([program], tmp_path)


def test_signing_up_without_a_platform_names_the_command(tmp_path):
    with pytest.raises(PlatformError, match="bubble-sync local up"):
        Platform(tmp_path / "none").sign_up("a@example.test")


def test_signing_up_twice_names_the_address(own):
    own.sign_up("twice@example.test")
    with pytest.raises(PlatformError, match=r"twice@example\.test"):
        own.sign_up("twice@example.test")


@pytest.mark.parametrize(
    ("program", "patience", "said"),
    [
        ("raise SystemExit(1)", 60, "the_part of the platform ended at its start: read {folder}/the_part.log"),
        ("import signal; signal.pause()", 0.2, "the_part of the platform was not ready within 0.2 s; "),
    ],
    ids=["ends", "starves"],
)
def test_a_part_that_ends_or_is_slow_is_named_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, patience: float, said: str
):
    (tmp_path / "a_part_of_this_test.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    part = Emulator("the_part", tmp_path, "a_part_of_this_test")

    with pytest.raises(PlatformError) as refused:
        part.start(patience)

    assert str(refused.value).startswith(said.format(folder=tmp_path))
    assert part.pid() is None
