"""Which Pulumi CLI the project uses, and where a made one is kept."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from pathlib import Path

from bubble_sync.local.postgres.cache import FOLDER

PINNED = "3.250.0"
# The first CLI with an exit code of its own (7) for "changes were expected not to be": the drift command rests on it.
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
    """The set-up cannot go on; the text is the one line that says what to do."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Read `v3.250.0`, `3.250.0-alpha.1+dirty` and the like; None for anything else."""
    match = re.match(r"\s*v?(\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def cache_name() -> str:
    """Name the folder of a made CLI: other pins, other sources or another machine give another name."""
    digest = hashlib.sha256(f"{LANGUAGE_HOST} {sys.platform} {platform.machine()}".encode())
    for module in (CLI_MODULE, LANGUAGE_HOST_MODULE):
        for source in sorted(module.iterdir()):
            digest.update(source.read_bytes())
    return f"pulumi-v{PINNED}-{digest.hexdigest()[:12]}"


def is_cached(executable: Path) -> bool:
    """Tell whether a path, its links not followed, lies in a folder that we made in some cache."""
    folder = executable.parent
    return folder.parent.name == FOLDER and folder.name.startswith("pulumi-v")
