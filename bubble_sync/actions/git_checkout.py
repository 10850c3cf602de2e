"""Require a current git checkout before changing a configuration file.

A deploy from an old checkout would undo the change.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Collection
from pathlib import Path

import yaml

from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.errors import NotCurrent

_GIVE_UP_AFTER_SECONDS = 60


def commit_line(file: Path, message: str, own: Collection[str] = ()) -> str | None:
    """Return the git command that commits and pushes `file`; None outside git.

    Args:
        file: The configuration file.
        message: The commit message.
        own: Settings, such as `retry.active`, whose uncommitted changes in `file` are allowed.

    Raises:
        NotCurrent: The checkout has uncommitted changes, is on no branch, or lacks commits of its upstream.
    """
    folder = file.parent
    if not _in_work_tree(folder):
        return None
    if _git(folder, "ls-files", "--error-unmatch", "--", file.name).returncode != 0:
        if _git(folder, "check-ignore", "--quiet", "--", file.name).returncode == 0:
            return None
        raise _refusal(f"{file.name} is not in git", "`git add` and commit it first")
    changed = [line[3:] for line in _output(folder, "status", "--porcelain", "--untracked-files=no").splitlines()]
    if changed and not (len(changed) == 1 and _changed_in_these_alone(file, own)):
        listed = f"{', '.join(changed[:3])}{', ...' if len(changed) > 3 else ''}"
        raise _refusal(f"the checkout has uncommitted changes ({listed})", "commit or stash them first")
    if _git(folder, "symbolic-ref", "--quiet", "HEAD").returncode != 0:
        raise _refusal("the checkout is on no branch", "`git switch` to the one you deploy")
    push = _has_upstream(folder)
    git = "git" if folder == Path.cwd() else f"git -C {shlex.quote(str(folder))}"
    return f"{git} commit -m {shlex.quote(message)} -- {shlex.quote(file.name)}{f' && {git} push' if push else ''}"


def committed(file: Path) -> bool:
    """Return whether a tracked file is unmodified."""
    return _git(file.parent, "show", f"HEAD:./{file.name}").stdout == file.read_text(errors="replace")


def _changed_in_these_alone(file: Path, own: Collection[str]) -> bool:
    """Return whether only this file, and no other setting, changed since its commit."""
    before = _git(file.parent, "show", f"HEAD:./{file.name}")
    if before.returncode != 0 or committed(file):
        return False
    try:
        return _without(before.stdout, own) == _without(file.read_text(errors="replace"), own)
    except yaml.YAMLError:
        return False


def _without(text: str, own: Collection[str]) -> object:
    document = yaml.safe_load(text)
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        return document
    for key in own:
        group, _, word = f"{NAMESPACE}:{key}".rpartition(".")
        words = config.get(group)
        if isinstance(words, dict):
            words.pop(word, None)
            # Pulumi removes an object together with its last key.
            if not words:
                del config[group]
    return document


def _in_work_tree(folder: Path) -> bool:
    asked = _git(folder, "rev-parse", "--is-inside-work-tree")
    if asked.returncode != 0 and any((each / ".git").exists() for each in (folder, *folder.parents)):
        # Another user's repository, or no git program: not the same as no repository.
        raise _refusal(f"git does not work in {folder}", "make `git status` work there first")
    return asked.returncode == 0


def _has_upstream(folder: Path) -> bool:
    """Return whether the branch has an upstream to push to; raise when it lacks upstream commits."""
    branch = _output(folder, "symbolic-ref", "--short", "HEAD").strip()
    if _git(folder, "config", f"branch.{branch}.merge").returncode != 0:
        if _output(folder, "remote").strip():
            raise _refusal(
                f"branch {branch} has no upstream",
                "`git switch` to the branch you deploy, or give this one an upstream",
            )
        return False
    if _git(folder, "fetch", "--quiet").returncode != 0:
        raise _refusal("git cannot ask the upstream for newer commits", "make `git fetch` work first")
    if _git(folder, "rev-parse", "--verify", "--quiet", "@{upstream}").returncode != 0:
        # Unlike a branch without upstream: missing commits are unknown.
        raise _refusal(
            f"the upstream of branch {branch} is gone or is not fetched", "`git switch` to the one you deploy"
        )
    behind = int(_output(folder, "rev-list", "--count", "HEAD..@{upstream}"))
    if behind:
        commits = "1 commit" if behind == 1 else f"{behind} commits"
        raise _refusal(f"the checkout lacks {commits} of its upstream", "`git pull` first")
    return True


def _output(folder: Path, *command: str) -> str:
    done = _git(folder, *command)
    if done.returncode != 0:
        raise _refusal(f"git {command[0]} failed in {folder}", "try it by hand")
    return done.stdout


def _refusal(why: str, remedy: str) -> NotCurrent:
    return NotCurrent(f"{why}, so that nothing was changed: {remedy}")


def _git(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", *command],
            cwd=folder,
            # Without a terminal: git and ssh must not prompt.
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            start_new_session=True,
            timeout=_GIVE_UP_AFTER_SECONDS,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return subprocess.CompletedProcess(command, 127, "", "")
