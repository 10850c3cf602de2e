"""Open, update and close the one issue about drift. Run by `ci/drift-issue.sh`."""

from __future__ import annotations

import os
import sys

from ci.github import MISUSED, GitHubError, Repository, fitting, report, report_outcome, repository

MARKER = "<!-- bubble-sync: drift -->"
TITLES = {1: "Drift: a stack is not what its program says", 3: "Drift: a stack could not be read"}
CLEAN = 0


def update() -> str:
    """Bring the issue in line with the last drift run."""
    code = int(report(".exit"))
    if code not in (CLEAN, *TITLES):
        raise GitHubError(f"the drift run itself failed with exit {code}: the issue stays as it is", MISUSED)
    here = repository()
    with here.client:
        found = here.ours(here.all("/issues", state="open"), MARKER)
        if code == CLEAN:
            return _close(here, found["number"]) if found else "clean, and no issue is open"
        body = f"{MARKER}\n{fitting(report())}\n"
        if found is None:
            return f"opened {here.send('POST', '/issues', title=TITLES[code], body=body)['html_url']}"
        if (found["title"], found["body"].split()) == (TITLES[code], body.split()):
            return f"{found['html_url']} is up to date"
        here.send("PATCH", f"/issues/{found['number']}", title=TITLES[code], body=body)
        return f"brought {found['html_url']} up to date"


def _close(here: Repository, number: int) -> str:
    run = os.environ.get("RUN_URL")
    here.send("POST", f"/issues/{number}/comments", body=f"Clean again{f': {run}' if run else ''}.")
    done = here.send("PATCH", f"/issues/{number}", state="closed", state_reason="completed")
    return f"closed {done['html_url']}: every stack is clean"


if __name__ == "__main__":
    sys.exit(report_outcome(update))
