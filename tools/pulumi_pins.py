"""The versions of the Pulumi CLI, and its folder in the cache."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from pathlib import Path

from bubble_sync.local.postgres.cache import FOLDER

PINNED = "3.250.0"
# The first CLI with the exit code 7 for unexpected changes, which the drift command needs.
MINIMUM = (3, 227, 0)
# The last version of the Python language host that lives inside the SDK's Go module, so that Go can build it by name.
LANGUAGE_HOST = "3.79.0"

HERE = Path(__file__).resolve().parent
CLI_MODULE = HERE / "pulumi"
LANGUAGE_HOST_MODULE = HERE / "pulumi-language-python"
#: The folder of a built CLI that its language host uses as the project's virtual environment.
ENVIRONMENT = "environment"

HOW_TO_INSTALL = (
    f"install the Pulumi CLI >= {'.'.join(map(str, MINIMUM))} (https://www.pulumi.com/docs/install/) "
    "or Go >= 1.26 (https://go.dev/doc/install), then run this again"
)


class ToolchainError(Exception):
    """The set-up cannot go on; the text is the remedy, in one line."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Read `v3.250.0`, `3.250.0-alpha.1+dirty` and the like; None for anything else."""
    match = re.match(r"\s*v?(\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def cache_name() -> str:
    """Return the folder name of a CLI in the cache; other pins, sources or machines give another name."""
    digest = hashlib.sha256(f"{LANGUAGE_HOST} {sys.platform} {platform.machine()}".encode())
    for module in (CLI_MODULE, LANGUAGE_HOST_MODULE):
        for source in sorted(module.iterdir()):
            digest.update(source.read_bytes())
    return f"pulumi-v{PINNED}-{digest.hexdigest()[:12]}"


def is_cached(executable: Path) -> bool:
    """Return whether a path, its links not followed, lies in a CLI's folder of any cache."""
    folder = executable.parent
    return folder.parent.name == FOLDER and folder.name.startswith("pulumi-v")
