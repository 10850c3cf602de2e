"""The one comment of a pull request that holds the preview. Run by `ci/comment.sh`."""

from __future__ import annotations

import sys

from ci.github import fitting, report, report_outcome, repository, variable

MARKER = "<!-- bubble-sync: preview -->"
NOTHING = "No stack is touched by this pull request any more."


def post() -> str:
    """Create or update the comment; an empty report creates none."""
    text = report()
    number = variable("PULL_REQUEST")
    here = repository()
    with here.client:
        found = here.ours(here.all(f"/issues/{number}/comments"), MARKER)
        body = f"{MARKER}\n{fitting(text or NOTHING)}\n"
        if found is None:
            if not text:
                return "no stack is touched: no comment"
            return f"commented: {here.send('POST', f'/issues/{number}/comments', body=body)['html_url']}"
        if found["body"].split() == body.split():
            return f"the comment is up to date: {found['html_url']}"
        here.send("PATCH", f"/issues/comments/{found['id']}", body=body)
        return f"brought the comment up to date: {found['html_url']}"


if __name__ == "__main__":
    sys.exit(report_outcome(post))
