"""The PostgreSQL that set-up downloads: when, from where, checked how, and what is left when it cannot be had."""

from __future__ import annotations

import platform
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bubble_sync.local.postgres import installation
from bubble_sync.local.postgres.cache import private_postgresql
from tests.fixtures.serving import serving
from tests.local.test_installation import install
from tools import apt, postgres
from tools.apt import AptError
from tools.pulumi_pins import ToolchainError

MIRROR = "'mirror+file:/etc/apt/mirrors/debian.list/dists/bookworm/InRelease' x_InRelease 0 \n"

#: apt's programs as far as they are asked; each call is written down, by its first word that is no option.
APT_GET = """#!/bin/bash
for word in "$@"; do
    case "$previous $word" in "-o "*) ;; *" -"*) ;; *) order=$word; break ;; esac
    previous=$word
done
echo "$order $*" >> "{calls}"
case "$*" in *--print-uris*) printf %s "{mirror}"; exit ;; esac
{failing}
if [ "$order" = download ]; then touch postgresql-{offered}.deb postgresql-{offered}-cron.deb; fi
"""
APT_CACHE = """#!/bin/bash
case "$*" in
    *search*plpgsql*) ;;
    *search*) echo "postgresql-{offered}-cron - Run jobs" ;;
    *) printf 'postgresql-{offered}\\n  Depends: libpq5\\nlibpq5\\n' ;;
esac
"""
DPKG_DEB = """#!/bin/bash
[ "$(basename "$2")" = postgresql-{offered}.deb ] || exit 0
server="$3/usr/lib/postgresql/{offered}/bin" share="$3/usr/share/postgresql/{offered}/extension"
mkdir -p "$server" "$share" "$3/usr/lib/x86_64-linux-gnu" "$3/usr/share/doc/big"
echo "default_version = '1.6'" > "$share/pg_cron.control"
printf '#!/bin/sh\\n{runs}\\n' > "$3/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
chmod +x "$3/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
touch "$server/postgres"
"""


class Machine:
    """A machine with an apt of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"

    def apt(self, offered: int = 17, *, failing: str = "", runs: str = "echo postgres", mirror: str = MIRROR) -> None:
        programs = {"apt-get": APT_GET, "apt-cache": APT_CACHE, "dpkg-deb": DPKG_DEB}
        for name, text in programs.items():
            path = self.folder / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                text.replace("{calls}", str(self.calls)).replace("{offered}", str(offered))
                .replace("{failing}", failing).replace("{runs}", runs).replace("{mirror}", mirror)
            )  # fmt: skip
            path.chmod(0o755)

    @property
    def orders(self) -> list[str]:
        return [line.split()[0] for line in self.calls.read_text().splitlines()] if self.calls.exists() else []

    @property
    def cached(self) -> list[str]:
        root = private_postgresql(17).parent
        return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(installation, "SERVER_PLACES", (str(tmp_path / "lib" / "*" / "bin"),))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(installation.SERVER_VARIABLE, raising=False)
    # A machine may have servers where the test looks.
    monkeypatch.setattr(installation, "_candidates", lambda: iter((tmp_path / "lib").glob("*/bin")))
    return Machine(tmp_path)


def name(major: int) -> str:
    return f"postgresql-{major}-{platform.machine()}"


def test_it_is_downloaded_once_and_then_found(machine: Machine, capsys: pytest.CaptureFixture[str]):
    machine.apt()

    postgres.provide()
    postgres.provide()

    assert machine.cached == [name(17)]
    assert [order for order in machine.orders if order == "download"] == ["download"]
    assert not (private_postgresql(17) / "usr/share/doc").exists()
    assert installation.find_installation().private
    assert "downloading PostgreSQL 17 with pg_cron" in capsys.readouterr().err


@pytest.mark.parametrize("own", [(17, "1.6"), (18, "1.7")])
def test_nothing_is_downloaded_where_the_machine_has_what_hosted_projects_have(machine: Machine, own: tuple[int, str]):
    machine.apt()
    install(machine.folder, *own)

    postgres.provide()

    assert (machine.orders, machine.cached) == ([], [])


def test_an_older_server_of_the_machine_is_passed_over(machine: Machine):
    machine.apt()
    install(machine.folder, 15, "1.4-1")

    postgres.provide()

    assert machine.cached == [name(17)]


def test_an_older_server_of_the_machine_is_used_where_none_can_be_downloaded(
    machine: Machine, capsys: pytest.CaptureFixture[str]
):
    machine.apt(failing='echo "E: Failed to fetch http://x  403  Forbidden" >&2; exit 100')
    install(machine.folder, 15, "1.4-1")

    postgres.provide()

    assert machine.cached == []
    assert capsys.readouterr().err.splitlines()[-1] == (
        "setup: using this machine's PostgreSQL 15: 17 cannot be downloaded (Failed to fetch http://x  403  Forbidden)"
    )


def test_a_version_that_is_asked_for_is_downloaded_although_another_is_here(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    machine.apt(15)
    install(machine.folder, 17, "1.6")
    monkeypatch.setenv(installation.SERVER_VARIABLE, "15")

    postgres.provide()

    assert machine.cached == [name(15)]
    assert " bookworm main" in _source(machine), "the release that has it"


def _source(machine: Machine) -> str:
    """The line of sources.list that the last download had, from the options of its call."""
    call = next(line for line in reversed(machine.calls.read_text().splitlines()) if "Dir::Etc::sourcelist" in line)
    assert "Dir::Etc::sourceparts=-" in call
    return machine_sources[-1]


machine_sources: list[str] = []


@pytest.fixture(autouse=True)
def sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each line of sources.list: the folder that it is in goes in the end."""
    made = apt.private_apt

    def kept(folder: Path, *, source: str = "", installed: bool = False) -> apt.Apt:
        machine_sources.append(source)
        return made(folder, source=source, installed=installed)

    monkeypatch.setattr(postgres, "private_apt", kept)


def test_the_suite_comes_from_the_machines_own_mirror(machine: Machine):
    machine.apt()

    postgres.provide()

    assert _source(machine).endswith("mirror+file:/etc/apt/mirrors/debian.list trixie main")


def test_without_that_suite_the_newest_of_the_machines_own_sources_will_do(machine: Machine):
    failing = 'case "$*" in *sourcelist*) echo "E: no Release file" >&2; exit 100 ;; esac'
    machine.apt(16, failing=failing)

    postgres.provide()

    assert machine.cached == [name(16)]
    assert machine_sources[-1] == ""


@pytest.mark.parametrize("failing", [
    'echo "W: Failed" >&2; echo "E: Failed to fetch http://x  403  Forbidden [IP: 10.0.0.1]" >&2; exit 100',
    'echo "E: Write error - write (28: No space left on device)" >&2; exit 100',
    '[ "$order" = download ] && { echo "E: Failed to fetch http://x  Hash Sum mismatch" >&2; exit 100; }',
])  # fmt: skip
def test_a_download_that_fails_is_one_line_and_leaves_nothing(machine: Machine, failing: str):
    machine.apt(failing=failing)
    reason = failing.split("E: ")[1].split('"')[0]

    with pytest.raises(ToolchainError) as refused:
        postgres.provide()

    assert str(refused.value) == (
        f"no PostgreSQL could be downloaded: {reason}. Install PostgreSQL 17, or any from 15 on with pg_cron, "
        "then run this again"
    )
    assert machine.cached == []


def test_packages_that_do_not_run_here_are_refused(machine: Machine):
    machine.apt(runs="echo cannot execute >&2; exit 126")

    with pytest.raises(ToolchainError, match=r"the downloaded PostgreSQL 17 does not run here \(cannot execute\)"):
        postgres.provide()

    assert machine.cached == []


def test_without_apt_one_line_says_what_to_install(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(machine.folder / "nothing"))

    with pytest.raises(ToolchainError, match=r"there is no apt-get on this machine\. Install PostgreSQL 17"):
        postgres.provide()


@pytest.mark.parametrize("mirror", ["", "'cdrom://[Debian]/ dists' x 0 \n"])
def test_a_machine_without_a_mirror_is_told_so(machine: Machine, mirror: str):
    machine.apt(mirror=mirror)

    with pytest.raises(ToolchainError, match="apt has no source that is a distribution's mirror"):
        postgres.provide()


def test_an_interrupted_download_leaves_nothing_and_what_a_killed_one_left_goes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    machine.apt()
    left = private_postgresql(17).with_name("postgresql.partial") / "half"
    left.mkdir(parents=True)
    seen: list[bool] = []

    def interrupted(*_: object) -> None:
        seen.append(left.exists())
        raise KeyboardInterrupt

    monkeypatch.setattr(postgres, "unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        postgres.provide()

    assert seen == [False]
    assert machine.cached == []


def test_two_set_ups_at_once_download_once(machine: Machine):
    machine.apt(failing='[ "$order" = update ] && sleep 0.3')
    problems: list[ToolchainError] = []

    def provide() -> None:
        try:
            postgres.provide()
        except ToolchainError as problem:
            problems.append(problem)

    both = [threading.Thread(target=provide) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()

    assert problems == []
    assert machine.orders.count("download") == 1
    assert machine.cached == [name(17)]


def test_the_libraries_of_a_package_are_followed_and_nothing_else(machine: Machine):
    machine.apt()
    graph = """postgresql-17
 |Depends: locales
  Depends: <debconf-2.0>
    cdebconf
  PreDepends: libc6
  Depends: libicu76
  Depends: libllvm19
  Depends: postgresql-common
libc6
  Depends: libgcc-s1
libgcc-s1
  Depends: gcc-14-base
libicu76
  Depends: libc6
<debconf-2.0>
postgresql-common
  Depends: libperl5.36
libllvm19
  Depends: libedit2
"""
    (machine.folder / "bin/apt-cache").write_text(f"#!/bin/sh\ncat <<'E'\n{graph}E\n")
    found = apt.private_apt(machine.folder / "apt").libraries_of(["postgresql-17"])
    assert found == ["libc6", "libgcc-s1", "libicu76", "postgresql-17"]


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Refusing)) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("no_proxy", "")
        yield address


@pytest.fixture
def real_apt(tmp_path: Path) -> Callable[[str], apt.Apt]:
    """apt's own client, on a source of the test's."""
    if shutil.which("apt-get") is None:
        pytest.skip("this machine has no apt, whose own refusals these are")
    return lambda source: apt.private_apt(tmp_path / "apt", source=source)


def test_apt_itself_refuses_packages_that_nobody_signed(tmp_path: Path, real_apt: Callable[[str], apt.Apt]):
    suite = tmp_path / "repository/dists/trixie"
    (suite / "main/binary-amd64").mkdir(parents=True)
    (suite / "main/binary-amd64/Packages").write_text("")
    (suite / "Release").write_text("Suite: trixie\nArchitectures: amd64\nComponents: main\n")

    with pytest.raises(AptError, match="is not signed"):
        real_apt(f"deb file:{tmp_path}/repository trixie main").update()


def test_a_proxy_that_refuses_is_one_line(real_apt: Callable[[str], apt.Apt], refusing_proxy: str):
    with pytest.raises(AptError, match="403") as refused:
        real_apt("deb http://mirror.example/debian trixie main").update()

    assert "\n" not in str(refused.value)


def test_nothing_of_the_system_is_read_as_ours_or_written(tmp_path: Path, real_apt: Callable[[str], apt.Apt]):
    options = " ".join(real_apt("deb file:/nowhere trixie main").options)
    dumped = subprocess.run(["apt-config", *options.split(), "dump"], capture_output=True, text=True, check=True).stdout
    wanted = (f'Dir::State "{tmp_path}', f'Dir::Cache "{tmp_path}', f'Dir::State::lists "{tmp_path}')
    assert all(line in dumped for line in wanted), dumped
