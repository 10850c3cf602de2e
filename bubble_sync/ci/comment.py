"""Write the preview into our one comment of a pull request."""

from __future__ import annotations

from bubble_sync.ci.github import fitting, repository

COMMENT_MARKER = "<!-- bubble-sync: preview -->"
NO_STACK_TOUCHED = "No stack is touched by this pull request any more."


def post(text: str, number: int) -> str:
    """Create or update the comment; an empty report creates none."""
    here = repository()
    with here.client:
        found = here.ours(here.all(f"/issues/{number}/comments"), COMMENT_MARKER)
        body = f"{COMMENT_MARKER}\n{fitting(text or NO_STACK_TOUCHED)}\n"
        if found is None:
            if not text:
                return "no stack is touched: no comment"
            return f"commented: {here.send('POST', f'/issues/{number}/comments', body=body)['html_url']}"
        if found["body"].split() == body.split():
            return f"the comment is up to date: {found['html_url']}"
        here.send("PATCH", f"/issues/comments/{found['id']}", body=body)
        return f"brought the comment up to date: {found['html_url']}"
