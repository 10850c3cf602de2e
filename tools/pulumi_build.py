"""The Pulumi CLI built with Go from the pinned modules beside this file."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tools.pulumi_pins import (
    CLI_MODULE,
    HOW_TO_INSTALL,
    LANGUAGE_HOST,
    LANGUAGE_HOST_MODULE,
    PINNED,
    ToolchainError,
    say,
)

SDK = "github.com/pulumi/pulumi/sdk/v3"
HEARTBEAT_SECONDS = 30


def build(target: Path, go: str) -> None:
    """Build the CLI and what it needs beside it to run Python programs with dynamic providers."""
    say("building the Pulumi CLI with Go; this takes some minutes, once per machine")
    _compile(go, CLI_MODULE, "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", PINNED, target / "pulumi")
    host = target / "pulumi-python-host"
    _compile(go, LANGUAGE_HOST_MODULE, f"{SDK}/python/cmd/pulumi-language-python", LANGUAGE_HOST, host)
    # The language host we can build does not read the runtime options that the CLI sends: a script of its name passes
    # the environment on, relative to the Pulumi project, because one cache serves every checkout.
    _install(LANGUAGE_HOST_MODULE / "pulumi-language-python", target)
    sdk = Path(_run(go, CLI_MODULE, target, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK))
    for script in ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python"):
        _install(sdk / script, target)


def _install(script: Path, target: Path) -> None:
    """Copy a script and make it executable: Go's module cache is read-only and drops that bit."""
    shutil.copyfile(script, target / script.name)
    (target / script.name).chmod(0o755)


def _compile(go: str, module: Path, package: str, version: str, executable: Path) -> None:
    """Build one command of a pinned module and tell how long it took."""
    began = time.monotonic()
    flags = f"-s -w -X {SDK}/go/common/version.Version=v{version}"
    arguments = ("-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(executable), package)
    _run(go, module, executable.parent, "build", *arguments)
    say(f"built {executable.name} v{version} in {time.monotonic() - began:.0f} s")


def _run(go: str, module: Path, scratch: Path, *arguments: str) -> str:
    """Run go in a module, with a sign of life now and then; return what it printed."""
    log = scratch / "go.log"
    # A person's own go.work would replace the pins.
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
                printed, _ = process.communicate(timeout=HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"go {arguments[0]} in {module.name}: {time.monotonic() - began:.0f} s so far")
    lines = log.read_text().split("\n")
    log.unlink()
    if process.returncode != 0:
        reason = " | ".join(line for line in lines[-4:] if line)
        raise ToolchainError(f"go {arguments[0]} failed in tools/{module.name}: {reason}; {HOW_TO_INSTALL}")
    return printed.strip()
