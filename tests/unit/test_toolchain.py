"""Where the Pulumi CLI comes from, and the small tools around it."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bubble_sync.local.postgres.cache import FOLDER, cache_root
from tests.fixtures.serving import serving
from tools import provide, pulumi_build, pulumi_cli, pulumi_pins, pulumi_release
from tools.pulumi_pins import PINNED, ToolchainError

WRAPPERS = pulumi_pins.LANGUAGE_HOST_MODULE
PULUMI = f"#!/bin/sh\necho v{PINNED}\n"


class Release(ThreadingHTTPServer):
    """A vendor's release on this machine: files by name, and what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"

    def publish(self, members: dict[str, str], checksum: str | None = None) -> None:
        name = pulumi_release.archive_name()
        archive = archive_of(members)
        digest = checksum or hashlib.sha256(archive).hexdigest()
        self.files[name] = archive
        self.files[pulumi_release.CHECKSUMS] = f"{'0' * 64}  another.tar.gz\n{digest}  {name}\n".encode()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Release)
        name = self.path.removeprefix("/")
        self.server.asked.append(name)
        content = self.server.files.get(name)
        self.send_response(404 if content is None else 200)
        self.end_headers()
        self.wfile.write(content or b"not here")

    def log_message(self, *_: object) -> None:
        pass


def archive_of(members: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(Release()) as server:
        yield server


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nothing listens."""
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def venv_bin(tmp_path: Path) -> Path:
    folder = tmp_path / "venv" / "bin"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / FOLDER


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def fake_go(tmp_path: Path) -> Callable[[str], Path]:
    """Make a `go` that builds shell scripts and writes down how it was called."""

    def make(failing: str = "") -> Path:
        for name in ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python"):
            script = tmp_path / "sdk" / "python" / name
            script.parent.mkdir(parents=True)
            script.write_text("#!/bin/sh\n")
            script.chmod(0o444)
        body = f"""#!/bin/sh
echo "$(basename "$PWD") GOWORK=$GOWORK $*" >> {tmp_path}/go.calls
{failing}
if [ "$1" = list ]; then echo {tmp_path}/sdk; exit; fi
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho v{PINNED} "$@"\\n' > "$2"
chmod +x "$2"
"""
        return executable(tmp_path / "go" / "bin" / "go", body).parent

    return make


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.250.0\n", (3, 250, 0)),
        ("3.227.1", (3, 227, 1)),
        ("v3.251.0-alpha.1+dirty", (3, 251, 0)),
        ("pulumi: command not found", None),
        ("", None),
    ],
)
def test_a_version_is_read_as_the_cli_prints_it(text: str, version: tuple[int, int, int] | None) -> None:
    assert pulumi_pins.parse_version(text) == version


def test_the_pins_agree_with_the_go_modules() -> None:
    cli = (pulumi_pins.CLI_MODULE / "go.mod").read_text()
    host = (pulumi_pins.LANGUAGE_HOST_MODULE / "go.mod").read_text()
    assert f"github.com/pulumi/pulumi/pkg/v3 v{PINNED} " in cli
    assert f"github.com/pulumi/pulumi/sdk/v3 v{PINNED} " in cli
    assert f"github.com/pulumi/pulumi/sdk/v3 v{pulumi_pins.LANGUAGE_HOST}\n" in host


def test_a_cli_on_path_is_taken_and_nothing_is_made(tmp_path: Path, venv_bin: Path, cache: Path, nowhere: str) -> None:
    for version in ("3.227.0", "4.0.0"):
        place = executable(tmp_path / version / "pulumi", f"#!/bin/sh\necho v{version}\n").parent
        assert pulumi_cli.provide(str(place), venv_bin, cache, nowhere) is None
    assert not cache.exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo v3.226.9", "3.226.9, needed is 3.227.0"), ("exit 1", "without a version"), ("echo hello", "without")],
)
def test_a_cli_that_is_too_old_or_broken_is_passed_over(
    script: str, said: str, tmp_path: Path, venv_bin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = executable(tmp_path / "old" / "pulumi", f"#!/bin/sh\n{script}\n")
    good = executable(tmp_path / "good" / "pulumi", PULUMI)
    assert pulumi_cli.on_path(f"{old.parent}:{good.parent}", venv_bin) == good
    assert f"passing over {old}: {said}" in capsys.readouterr().err


def test_a_cli_of_our_own_is_not_mistaken_for_a_persons(tmp_path: Path, venv_bin: Path, cache: Path) -> None:
    ours = executable(cache / "pulumi-v3.250.0-abc" / "pulumi", PULUMI)
    another_checkout = tmp_path / "other" / "bin"
    another_checkout.mkdir(parents=True)
    (another_checkout / "pulumi").symlink_to(ours)
    executable(venv_bin / "pulumi", PULUMI)
    assert pulumi_cli.on_path(f"{venv_bin}:{another_checkout}:{ours.parent}", venv_bin) is None


def test_the_release_is_downloaded_once_and_then_found_in_the_cache(
    release: Release, venv_bin: Path, cache: Path, tmp_path: Path
) -> None:
    release.publish({"pulumi/pulumi": PULUMI, "pulumi/pulumi-language-python": "#!/bin/sh\n", "../../evil": "x"})
    folder = pulumi_cli.provide("", venv_bin, cache, release.address)
    assert folder == cache / pulumi_pins.cache_name()
    assert {path.name for path in folder.iterdir()} == {"pulumi", "pulumi-language-python", "evil"}
    assert all(path.stat().st_mode & 0o777 == 0o755 for path in folder.iterdir())
    assert not list(tmp_path.rglob("*.partial"))
    assert pulumi_cli.provide("", venv_bin, cache, release.address) == folder
    assert release.asked == [pulumi_release.CHECKSUMS, pulumi_release.archive_name()]


def test_what_a_killed_set_up_left_is_thrown_away(release: Release, venv_bin: Path, cache: Path) -> None:
    executable(cache / f"{pulumi_pins.cache_name()}.partial" / "half", "")
    release.publish({"pulumi/pulumi": PULUMI})
    folder = pulumi_cli.provide("", venv_bin, cache, release.address)
    assert folder is not None
    assert [path.name for path in folder.iterdir()] == ["pulumi"]


def test_a_wrong_checksum_is_refused(
    release: Release, venv_bin: Path, cache: Path, fake_go: Callable[[str], Path]
) -> None:
    release.publish({"pulumi/pulumi": PULUMI}, checksum="f" * 64)
    with pytest.raises(ToolchainError, match=r"f{64}: refused"):
        pulumi_cli.provide(str(fake_go("")), venv_bin, cache, release.address)
    assert not (cache / pulumi_pins.cache_name()).exists()


def test_a_release_of_another_version_is_refused(release: Release, venv_bin: Path, cache: Path) -> None:
    release.publish({"pulumi/pulumi": "#!/bin/sh\necho v3.1.0\n"})
    with pytest.raises(ToolchainError, match="does not run as"):
        pulumi_cli.provide("", venv_bin, cache, release.address)
    assert not (cache / pulumi_pins.cache_name()).exists()


def test_a_release_without_pulumi_in_it_is_refused(release: Release, tmp_path: Path) -> None:
    release.publish({"pulumi/README": "hello"})
    with pytest.raises(ToolchainError, match="holds no pulumi"):
        pulumi_release.download(tmp_path, release.address)


def test_a_missing_asset_means_no_release(release: Release, tmp_path: Path) -> None:
    release.publish({"pulumi/pulumi": PULUMI})
    del release.files[pulumi_release.archive_name()]
    with pytest.raises(pulumi_release.ReleaseUnavailable, match=r"HTTP 404 from 127\.0\.0\.1"):
        pulumi_release.download(tmp_path, release.address)


def test_an_asset_that_the_checksum_file_does_not_list_means_no_release(release: Release, tmp_path: Path) -> None:
    release.publish({"pulumi/pulumi": PULUMI})
    release.files[pulumi_release.CHECKSUMS] = b"<html>please log in</html>"
    with pytest.raises(pulumi_release.ReleaseUnavailable, match="does not list"):
        pulumi_release.download(tmp_path, release.address)


def test_an_unreachable_vendor_means_no_release(nowhere: str, tmp_path: Path) -> None:
    with pytest.raises(pulumi_release.ReleaseUnavailable, match="ConnectError"):
        pulumi_release.download(tmp_path, nowhere)


def test_without_a_release_the_cli_is_built_with_go(
    nowhere: str, venv_bin: Path, cache: Path, tmp_path: Path, fake_go: Callable[[str], Path]
) -> None:
    search_path = f"{fake_go('')}:/usr/bin:/bin"
    # A machine may have a real one there.
    if pulumi_cli.on_path(search_path, venv_bin):
        pytest.skip("a Pulumi CLI is installed system-wide")
    folder = pulumi_cli.provide(search_path, venv_bin, cache, nowhere)
    assert folder is not None
    assert {path.name for path in folder.iterdir()} == {
        "pulumi",
        "pulumi-python-host",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
        "environment",
    }
    assert all(path.stat().st_mode & 0o777 == 0o755 for path in folder.iterdir())
    assert os.access(folder / "environment/bin/python", os.X_OK)
    calls = (tmp_path / "go.calls").read_text().splitlines()
    assert [tuple(call.split()[::2][:2]) for call in calls] == [
        ("pulumi", "list"), ("pulumi", "build"),
        ("pulumi-language-python", "list"), ("pulumi-language-python", "build"),
        ("pulumi", "list"),
    ]  # fmt: skip
    assert all("GOWORK=off" in call and "-mod=readonly" in call for call in calls)


def test_a_failed_build_is_told_in_one_line(
    nowhere: str, venv_bin: Path, cache: Path, fake_go: Callable[[str], Path]
) -> None:
    go = fake_go('[ "$1" = list ] || { echo "module lookup disabled" >&2; exit 1; }')
    with pytest.raises(ToolchainError, match=r"^go build failed in tools/pulumi: module lookup disabled; install .*$"):
        pulumi_cli.provide(str(go), venv_bin, cache, nowhere)
    assert not (cache / pulumi_pins.cache_name()).exists()


def test_without_anything_one_line_says_what_to_install(nowhere: str, venv_bin: Path, cache: Path) -> None:
    unreachable = r"^the vendor's release cannot be downloaded \(ConnectError at 127\.0\.0\.1\); "
    with pytest.raises(ToolchainError, match=unreachable + r"install the Pulumi CLI >= 3\.227\.0 .* or Go .*$"):
        pulumi_cli.provide("", venv_bin, cache, nowhere)


def test_links_follow_the_choice_and_leave_other_links_alone(venv_bin: Path, cache: Path) -> None:
    stale = executable(cache / "pulumi-v3.1.0-old" / "pulumi-gone", PULUMI)
    current = executable(cache / "pulumi-v3.250.0-new" / "pulumi", PULUMI)
    for name, target in {"pulumi": stale, "pulumi-gone": stale, "uv": cache / "uv-1" / "bin" / "uv"}.items():
        (venv_bin / name).symlink_to(target)
    pulumi_cli.link(current.parent, venv_bin)
    pulumi_cli.link(current.parent, venv_bin)
    assert {path.name: path.readlink() for path in venv_bin.iterdir()} == {
        "pulumi": current,
        "uv": cache / "uv-1" / "bin" / "uv",
    }
    pulumi_cli.link(None, venv_bin)
    assert [path.name for path in venv_bin.iterdir()] == ["uv"]


@pytest.fixture
def environment(venv_bin: Path, cache: Path) -> Path:
    """A virtual environment with a built CLI, whose language host and Python say how they were called."""
    folder = cache / "pulumi-v3.250.0-new"
    executable(folder / "pulumi-python-host", '#!/bin/sh\necho "$@"\n')
    executable(folder / "pulumi-language-python", (WRAPPERS / "pulumi-language-python").read_text())
    executable(folder / "environment/bin/python", (WRAPPERS / "python").read_text())
    (folder / "environment/packages.py").write_text((WRAPPERS / "packages.py").read_text())
    program = f'#!/bin/sh\ncase "$1" in -I) exec {sys.executable} "$@" ;; esac\necho "$VIRTUAL_ENV $*"\n'
    executable(venv_bin / "python", program)
    pulumi_cli.link(folder, venv_bin)
    return venv_bin.parent


def said(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout


def test_the_language_host_gets_a_relative_environment_through_the_link(environment: Path) -> None:
    printed = said(environment / "bin/pulumi-language-python", "127.0.0.1:1")
    assert printed == "-virtualenv=.venv/pulumi 127.0.0.1:1\n"


def test_what_the_language_host_runs_is_the_environments_own_python(environment: Path) -> None:
    assert said(environment / "pulumi/bin/python", "-u", "program.py") == f"{environment} -u program.py\n"


def test_the_list_of_packages_is_what_pip_would_print_of_them(environment: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = environment / "lib" / version / "site-packages"
    for name in ("pulumi-3.272.0", "pulumi_postgresql-3.18.2", "typing_extensions-4.15.0"):
        (site / f"{name}.dist-info").mkdir(parents=True)

    listed = json.loads(said(environment / "pulumi/bin/python", "-m", "pip", "list", "-v", "--format", "json"))

    assert listed == [
        {"name": "pulumi", "version": "3.272.0", "location": str(site)},
        {"name": "pulumi-postgresql", "version": "3.18.2", "location": str(site)},
        {"name": "typing-extensions", "version": "4.15.0", "location": str(site)},
    ]


def test_a_cli_from_elsewhere_leaves_no_environment_of_ours(environment: Path) -> None:
    pulumi_cli.link(None, environment / "bin")
    assert not (environment / "pulumi").is_symlink()


def test_a_long_build_says_how_far_it_is() -> None:
    assert pulumi_build.progress(30.0, 300, 1649) == "300 of 1649 packages compiled in 30 s, about 135 s left"
    assert pulumi_build.progress(30.0, 0, 1649) == "30 s so far"
    assert pulumi_build.progress(30.0, 7, 0) == "30 s so far"


def test_every_part_is_tried_and_each_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise ToolchainError("install the Pulumi CLI")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/cache/postgresql.partial")

    monkeypatch.setattr(provide.pulumi_cli, "provide", refuse)
    monkeypatch.setattr(provide.postgres, "provide", full)

    assert provide.main("all") == 2
    assert capsys.readouterr().err.splitlines() == [
        "setup: install the Pulumi CLI",
        "setup: /cache/postgresql.partial: No space left on device; mend that, or set XDG_CACHE_HOME to another folder",
    ]


def test_a_client_gets_no_postgresql(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(provide.pulumi_cli, "provide", lambda *_: None)
    monkeypatch.setattr(provide.pulumi_cli, "link", lambda *_: None)
    monkeypatch.setattr(provide.postgres, "provide", lambda: pytest.fail("a client needs no PostgreSQL"))

    assert provide.main("client") == 0
    assert capsys.readouterr().err == ""


def test_a_relative_cache_folder_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    assert cache_root() == Path.home() / ".cache" / FOLDER
