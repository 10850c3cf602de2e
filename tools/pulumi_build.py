"""The Pulumi CLI built with Go from the pinned modules next to this file."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tools.go_modules import run_go
from tools.pulumi_pins import (
    CLI_MODULE,
    ENVIRONMENT,
    HOW_TO_INSTALL,
    LANGUAGE_HOST,
    LANGUAGE_HOST_MODULE,
    PINNED,
    say,
)

SDK = "github.com/pulumi/pulumi/sdk/v3"
CLI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
#: Measured: five and a half minutes of processor time on a quiet machine, three times as long on a busy one.
_CPU_MINUTES = 5.5
#: Large clients of clouds and of APIs, which are not on the way of a command of ours: compiling them without
#: optimisation saves a fifth of the time.
_UNOPTIMISED = ("github.com/pb33f/...", "github.com/aws/...", "github.com/envoyproxy/...", "cloud.google.com/...")


def build(target: Path, go: str, why: str) -> None:
    """Build the CLI and what it needs next to it to run Python programs with dynamic providers.

    Args:
        target: An empty folder.
        go: The go command.
        why: Why the CLI is built and not downloaded.

    Raises:
        ToolchainError: A build failed.
    """
    cores = os.cpu_count() or 1
    quick = max(1, round(_CPU_MINUTES / min(cores, 8)))
    say(
        f"building the Pulumi CLI with Go, once per machine: {why}. "
        f"This takes {quick} to {3 * quick} minutes on {cores} cores"
    )
    _compile(go, CLI_MODULE, CLI, PINNED, target / "pulumi")
    host = target / "pulumi-python-host"
    _compile(go, LANGUAGE_HOST_MODULE, f"{SDK}/python/cmd/pulumi-language-python", LANGUAGE_HOST, host)
    _install(LANGUAGE_HOST_MODULE / "pulumi-language-python", target)
    # What the language host takes for a virtual environment: its Python answers for pip, and is the real one otherwise.
    (target / ENVIRONMENT / "bin").mkdir(parents=True)
    _install(LANGUAGE_HOST_MODULE / "python", target / ENVIRONMENT / "bin")
    _install(LANGUAGE_HOST_MODULE / "packages.py", target / ENVIRONMENT)
    where = ("list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK)
    sdk = Path(run_go(go, CLI_MODULE, target, *where, otherwise=HOW_TO_INSTALL))
    for script in ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python"):
        _install(sdk / script, target)


def _install(script: Path, target: Path) -> None:
    """Copy a script and make it executable: Go's module cache is read-only and drops that bit."""
    shutil.copyfile(script, target / script.name)
    (target / script.name).chmod(0o755)


def _compile(go: str, module: Path, package: str, version: str, executable: Path) -> None:
    """Build one command of a pinned module and print how long it took."""
    began = time.monotonic()
    flags = f"-s -w -X {SDK}/go/common/version.Version=v{version}"
    unoptimised = [f"-gcflags={pattern}=-N -l" for pattern in _UNOPTIMISED]
    listed = run_go(go, module, executable.parent, "list", "-mod=readonly", "-deps", package, otherwise=HOW_TO_INSTALL)
    arguments = ("-mod=readonly", "-trimpath", *unoptimised, "-ldflags", flags, "-o", str(executable), package)
    run_go(
        go, module, executable.parent, "build", "-v", *arguments,
        otherwise=HOW_TO_INSTALL, packages=len(listed.splitlines()),
    )  # fmt: skip
    say(f"built {executable.name} v{version} in {time.monotonic() - began:.0f} s")
