"""Open, update and close the one issue about drift."""

from __future__ import annotations

import os

from bubble_sync.ci.github import Repository, fitting, repository
from bubble_sync.errors import ConfigurationError

ISSUE_MARKER = "<!-- bubble-sync: drift -->"
ISSUE_TITLES = {1: "Drift: a stack is not what its program says", 3: "Drift: a stack could not be read"}
CLEAN = 0


def update(text: str, code: int) -> str:
    """Bring the issue in line with the report and the exit code of a drift run."""
    if code not in (CLEAN, *ISSUE_TITLES):
        raise ConfigurationError(f"the drift run itself failed with exit {code}: the issue stays as it is")
    here = repository()
    with here.client:
        found = here.ours(here.all("/issues", state="open"), ISSUE_MARKER)
        if code == CLEAN:
            return _close(here, found["number"]) if found else "clean, and no issue is open"
        body = f"{ISSUE_MARKER}\n{fitting(text)}\n"
        if found is None:
            return f"opened {here.send('POST', '/issues', title=ISSUE_TITLES[code], body=body)['html_url']}"
        if (found["title"], found["body"].split()) == (ISSUE_TITLES[code], body.split()):
            return f"{found['html_url']} is up to date"
        here.send("PATCH", f"/issues/{found['number']}", title=ISSUE_TITLES[code], body=body)
        return f"brought {found['html_url']} up to date"


def _close(here: Repository, number: int) -> str:
    run = os.environ.get("RUN_URL")
    here.send("POST", f"/issues/{number}/comments", body=f"Clean again{f': {run}' if run else ''}.")
    done = here.send("PATCH", f"/issues/{number}", state="closed", state_reason="completed")
    return f"closed {done['html_url']}: every stack is clean"
