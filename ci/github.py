"""Comments and issues through GitHub's REST API, with one line for each failure."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from bubble_sync.printable import printable

#: The API refuses a body above 65,536 characters.
LONGEST = 60_000
#: The login of `GITHUB_TOKEN`; the token itself may not ask for its login.
ACTIONS = "github-actions[bot]"
REFUSED, MISUSED, UNREACHABLE = 1, 2, 3
T = TypeVar("T")


class GitHubError(Exception):
    """A failure of GitHub, in one line, with its exit code."""

    def __init__(self, text: str, code: int) -> None:
        """Set the text and the exit code."""
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Repository:
    """One repository through one token."""

    client: httpx.Client
    author: str
    """The author of our texts; another author's text with the same marker stays unchanged."""

    def all(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Yield every entry of a list, page after page."""
        answer = self._ask("GET", path, params={**query, "per_page": "100"})
        while True:
            yield from _read(answer, list)
            following = answer.links.get("next", {}).get("url")
            # The token must not go to another host.
            if following is None or httpx.URL(following).host != self.client.base_url.host:
                return
            answer = self._ask("GET", following)

    def ours(self, entries: Iterator[dict[str, Any]], marker: str) -> dict[str, Any] | None:
        """Return our first entry with this marker."""
        for entry in entries:
            author = (entry.get("user") or {}).get("login")
            # The API lists pull requests among the issues.
            if author == self.author and "pull_request" not in entry and (entry.get("body") or "").startswith(marker):
                return entry
        return None

    def send(self, method: str, path: str, **body: str) -> dict[str, Any]:
        """Create or change an object, and return the object from GitHub's answer."""
        return _read(self._ask(method, path, json=body), dict)

    def _ask(
        self, method: str, path: str, params: Mapping[str, str] | None = None, json: Mapping[str, str] | None = None
    ) -> httpx.Response:
        place = f"{method} {httpx.URL(path).path}"
        try:
            answer = self.client.request(method, path, params=params, json=json)
        except httpx.HTTPError as problem:
            raise GitHubError(
                f"{place}: GitHub does not answer ({type(problem).__name__}); run this again", UNREACHABLE
            ) from None
        if not answer.is_success:
            raise _refusal(place, answer)
        return answer


def _read(answer: httpx.Response, kind: type[T]) -> T:
    try:
        read = answer.json()
    except ValueError:
        read = None
    if not isinstance(read, kind):
        raise GitHubError(f"{answer.url.host} does not answer as GitHub does: correct GITHUB_API_URL", MISUSED)
    return read


def _refusal(place: str, answer: httpx.Response) -> GitHubError:
    """Return the reason of a refusal and the remedy, in one line."""
    code, wait = answer.status_code, answer.headers.get("retry-after")
    if code == 429 or (code == 403 and (wait or answer.headers.get("x-ratelimit-remaining") == "0")):
        return GitHubError(f"{place}: GitHub limits the rate ({code}); run this again in {wait or 60} s", UNREACHABLE)
    if code in (401, 403, 404):
        needed = "GITHUB_TOKEN needs `issues: write` or `pull-requests: write` on GITHUB_REPOSITORY"
        return GitHubError(f"{place}: GitHub refuses ({code}); {needed}", REFUSED)
    if code >= 500:
        return GitHubError(f"{place}: GitHub is in trouble ({code}); run this again", UNREACHABLE)
    return GitHubError(f"{place}: GitHub answers {code}; nothing was changed", REFUSED)


def variable(name: str) -> str:
    """Return an environment variable that must be set."""
    value = os.environ.get(name)
    if not value:
        raise GitHubError(f"{name} is not set: the head of this script says what it holds", MISUSED)
    return value


def report(ending: str = "") -> str:
    """Return the text of the file REPORT, written by the previous script; `ending` selects a sibling file."""
    file = Path(variable("REPORT") + ending)
    try:
        return file.read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        raise GitHubError(f"there is no {file}: the script that writes it has not run", MISUSED) from None


def repository() -> Repository:
    """Return the repository that GitHub's own variables name."""
    address = os.environ.get("GITHUB_API_URL") or "https://api.github.com"
    client = httpx.Client(
        base_url=f"{address}/repos/{variable('GITHUB_REPOSITORY')}",
        headers={
            "Authorization": f"Bearer {variable('GITHUB_TOKEN')}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        timeout=30,
    )
    return Repository(client, os.environ.get("REPORT_AUTHOR") or ACTIONS)


def fitting(text: str, longest: int = LONGEST) -> str:
    """Return a text within GitHub's limit: cut after a whole line, with its open blocks closed."""
    if len(text) <= longest:
        return text
    kept = text[:longest].rpartition("\n")[0]
    fence, folds = "", 0
    for line in kept.splitlines():
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            # Inside a block of code nothing else opens or closes.
            fence = "" if line == fence else fence
        elif len(ticks) >= 3:
            fence = ticks
        else:
            folds += line.startswith("<details>") - line.startswith("</details>")
    closing = (f"\n{fence}" if fence else "") + "\n\n</details>" * folds
    return f"{kept}{closing}\n\n**Cut here**: the run's log has the whole report."


def report_outcome(work: Callable[[], str]) -> int:
    """Do the work, print its result, and return the exit code."""
    try:
        print(printable(work()))
    except GitHubError as problem:
        print(f"error: {printable(str(problem))}", file=sys.stderr)
        return problem.code
    return 0
