"""A process that has imported the product, and forks for each order: a child that may be killed costs milliseconds.

An order is a line of JSON: the arguments, the environment and the folder. The answers are two lines: the child's pid,
and its exit code when it has ended.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from bubble_sync.actions import requeue, run_now
from bubble_sync.cli import app, main, output
from bubble_sync.config.settings import read_settings
from bubble_sync.config.stacks import CONFIG_VARIABLE, parse_config
from bubble_sync.converge import lifecycle
from bubble_sync.model.setup import desired_state
from bubble_sync.providers import converging, cron_job, extension, function, ledger, prerequisites, vault_secret
from bubble_sync.specs import Owner, Spec

#: Imported here once, and not by each child.
_IMPORTED = (app, output, lifecycle, requeue, run_now)
STACK, CLAIM = "shop", "a-claim"
_PROVIDERS: dict[type[Spec], type[converging.ConvergingProvider]] = {
    provider.spec_type: provider
    for provider in (
        cron_job.CronJobProvider, extension.ExtensionProvider, function.FunctionProvider, ledger.LedgerProvider,
        prerequisites.PrerequisitesProvider, vault_secret.VaultSecretProvider,
    )
}  # fmt: skip


def specs_of(environment: Mapping[str, str]) -> list[Spec]:
    """Return what the stack declares, in order."""
    return list(desired_state(read_settings(parse_config(environment[CONFIG_VARIABLE])), Owner(STACK, "")))


def provide(action: str) -> None:
    """Do as the provider does in an `up` or a `destroy` of the whole stack, one object after the other."""
    config = parse_config(os.environ[CONFIG_VARIABLE])
    specs = specs_of(os.environ)
    for spec in specs if action == "converge" else reversed(specs):
        provider: Any = _PROVIDERS[type(spec)]()
        provider._config = dict.fromkeys(converging._CONFIG_KEYS) | {key: one.text for key, one in config.items()}
        props = spec.model_dump(mode="json")
        if action == "converge":
            provider._converge(props, CLAIM)
        else:
            provider.delete(spec.object_name, {**props, "claim": CLAIM})


def _child(order: Mapping[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sink = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor in (1, 2):
        os.dup2(sink, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # The command replaces these, which must not close the descriptors.
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, closefd=False)  # noqa: SIM115
        for number, mode in enumerate(("r", "w", "w"))
    )
    sys.argv = ["bubble-sync", *order["command"]]
    if order["command"][0] in ("converge", "remove"):
        provide(order["command"][0])
    else:
        main.run()


def serve() -> None:
    """Serve orders until the caller's end of the pipe closes."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _end(json.loads(line))
        for answer in (child, os.waitstatus_to_exitcode):
            number = answer if isinstance(answer, int) else answer(os.waitpid(child, 0)[1])
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


def _end(order: Mapping[str, Any]) -> NoReturn:
    """Carry an order out, and end this child without the caller's way out."""
    code = 1
    try:
        _child(order)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
