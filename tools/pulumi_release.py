"""Download the vendor's release of the Pulumi CLI, compare its checksum, and unpack it."""

from __future__ import annotations

import hashlib
import platform
import sys
import tarfile
from pathlib import Path, PurePosixPath

import httpx

from tools.pulumi_pins import PINNED, ToolchainError, say

ADDRESS = f"https://github.com/pulumi/pulumi/releases/download/v{PINNED}"
CHECKSUMS = f"pulumi-{PINNED}-checksums.txt"
MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}

# Without a network the failure must come within seconds; a slow network may pause between two reads.
PATIENCE = httpx.Timeout(30.0, connect=4.0)


class ReleaseUnavailable(Exception):
    """The release cannot be downloaded here; a build may still work."""


def archive_name() -> str:
    """Name the release's archive for this machine."""
    machine = MACHINES.get(platform.machine().lower())
    if machine is None or sys.platform not in ("linux", "darwin"):
        raise ReleaseUnavailable(f"there is no release for {sys.platform} {platform.machine()}")
    return f"pulumi-v{PINNED}-{sys.platform}-{machine}.tar.gz"


def download(target: Path, address: str = ADDRESS) -> None:
    """Put the release's executables into a folder; raise ReleaseUnavailable, or ToolchainError on a wrong checksum."""
    name = archive_name()
    archive = target / name
    try:
        with httpx.Client(timeout=PATIENCE, follow_redirects=True) as client:
            expected = _published_checksum(client, f"{address}/{CHECKSUMS}", name)
            say(f"downloading {name}")
            actual = _fetch(client, f"{address}/{name}", archive)
    except httpx.HTTPError as error:
        raise ReleaseUnavailable(_reason(error)) from error
    if actual != expected:
        archive.unlink()
        raise ToolchainError(
            f"{address}/{name} has checksum {actual}, its release says {expected}: refused. "
            "Check the proxies between this machine and that address, or install the Pulumi CLI yourself."
        )
    _unpack(archive, target)
    archive.unlink()


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code} from {error.request.url.host}"
    return f"{type(error).__name__} at {error.request.url.host}"


def _published_checksum(client: httpx.Client, address: str, name: str) -> str:
    """Read one archive's SHA-256 from the release's checksum file (lines of `<hex>  <name>`)."""
    answer = client.get(address).raise_for_status()
    for line in answer.text.splitlines():
        match line.split():
            case [digest, listed] if listed.removeprefix("*") == name:
                return digest.lower()
    raise ReleaseUnavailable(f"{address} does not list {name}")


def _fetch(client: httpx.Client, address: str, archive: Path) -> str:
    """Stream an address into a file and return its SHA-256."""
    with client.stream("GET", address) as answer, archive.open("w+b") as file:
        answer.raise_for_status()
        file.writelines(answer.iter_bytes())
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(archive: Path, target: Path) -> None:
    """Take the plain files out of the archive's one folder, by their last name alone."""
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            path = target / PurePosixPath(member.name).name
            path.write_bytes(content.read())
            path.chmod(0o755)
    if not (target / "pulumi").exists():
        raise ToolchainError(f"{archive.name} holds no pulumi: refused")
