"""Build the Pulumi CLI with Go from the pinned modules next to this file."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tools.pulumi_pins import (
    CLI_MODULE,
    ENVIRONMENT,
    HOW_TO_INSTALL,
    LANGUAGE_HOST,
    LANGUAGE_HOST_MODULE,
    PINNED,
    ToolchainError,
    say,
)

SDK = "github.com/pulumi/pulumi/sdk/v3"
CLI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
#: CPU time measured on a quiet machine; a busy one takes three times as long.
_CPU_MINUTES = 5.5
_HEARTBEAT_SECONDS = 30
#: Large clients of clouds and APIs, which our commands do not use: without optimisation the build takes a fifth less.
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
    sdk = Path(run_go(go, CLI_MODULE, target, *where))
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
    listed = run_go(go, module, executable.parent, "list", "-mod=readonly", "-deps", package)
    arguments = ("-mod=readonly", "-trimpath", *unoptimised, "-ldflags", flags, "-o", str(executable), package)
    run_go(go, module, executable.parent, "build", "-v", *arguments, packages=len(listed.splitlines()))
    say(f"built {executable.name} v{version} in {time.monotonic() - began:.0f} s")


def run_go(go: str, module: Path, scratch: Path, *arguments: str, packages: int = 0) -> str:
    """Run go in a pinned module, print progress every half minute, and return its output.

    Args:
        go: The go command.
        module: The folder of the pinned module.
        scratch: A folder for go's messages.
        arguments: The arguments of go.
        packages: The number of packages to compile, for `build -v`.

    Raises:
        ToolchainError: go failed.
    """
    log = scratch / "go.log"
    # The user's own go.work would replace the pins.
    environment = {**os.environ, "GOWORK": "off"}
    began = time.monotonic()
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [go, *arguments], cwd=module, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        while True:
            try:
                printed, _ = process.communicate(timeout=_HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                compiled = len(log.read_text().splitlines())
                say(f"{module.name}: {progress(time.monotonic() - began, compiled, packages)}")
    lines = [line for line in log.read_text().split("\n") if line]
    log.unlink()
    if process.returncode != 0:
        raise ToolchainError(
            f"go {arguments[0]} failed in tools/{module.name}: {' | '.join(lines[-3:])}; {HOW_TO_INSTALL}"
        )
    return printed.strip()


def progress(seconds: float, compiled: int, packages: int) -> str:
    """Return the progress of a build; go does not list packages from its cache."""
    if not 0 < compiled <= packages:
        return f"{seconds:.0f} s so far"
    left = seconds * (packages - compiled) / compiled
    return f"{compiled} of {packages} packages compiled in {seconds:.0f} s, about {left:.0f} s left"
