"""The Pulumi CLI built with Go from the pinned modules beside this file."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from tools.go_modules import run_go
from tools.pulumi_pins import (
    CLI_MODULE,
    HOW_TO_INSTALL,
    LANGUAGE_HOST,
    LANGUAGE_HOST_MODULE,
    PINNED,
    say,
)

SDK = "github.com/pulumi/pulumi/sdk/v3"


def build(target: Path, go: str) -> None:
    """Build the CLI and what it needs beside it to run Python programs with dynamic providers."""
    say("building the Pulumi CLI with Go; this takes some minutes, once per machine")
    _compile(go, CLI_MODULE, "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", PINNED, target / "pulumi")
    host = target / "pulumi-python-host"
    _compile(go, LANGUAGE_HOST_MODULE, f"{SDK}/python/cmd/pulumi-language-python", LANGUAGE_HOST, host)
    # The language host we can build does not read the runtime options that the CLI sends: a script of its name passes
    # the environment on, relative to the Pulumi project, because one cache serves every checkout.
    _install(LANGUAGE_HOST_MODULE / "pulumi-language-python", target)
    where = ("list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK)
    sdk = Path(run_go(go, CLI_MODULE, target, *where, otherwise=HOW_TO_INSTALL))
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
    run_go(go, module, executable.parent, "build", *arguments, otherwise=HOW_TO_INSTALL)
    say(f"built {executable.name} v{version} in {time.monotonic() - began:.0f} s")
