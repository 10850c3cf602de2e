"""Comments and issues through GitHub's REST API, with one line for each failure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from bubble_sync.errors import ConfigurationError, ForgeRefused, PrivilegeMissing, SyncError, Unreachable
from bubble_sync.http_client import new_client

#: The API refuses a body above 65,536 characters.
LONGEST = 60_000
#: The login of `GITHUB_TOKEN`; the token itself may not ask for its login.
ACTIONS = "github-actions[bot]"
_Kind = TypeVar("_Kind")


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
        except UnicodeError:
            raise ConfigurationError("GITHUB_API_URL, or the proxy, has no valid host name: correct it") from None
        except httpx.HTTPError as problem:
            raise Unreachable(f"{place}: GitHub does not answer ({type(problem).__name__}); run this again") from None
        if not answer.is_success:
            raise _refusal(place, answer)
        return answer


def _read(answer: httpx.Response, kind: type[_Kind]) -> _Kind:
    try:
        read = answer.json()
    except ValueError:
        read = None
    if not isinstance(read, kind):
        raise ConfigurationError(f"{answer.url.host} does not answer as GitHub does: correct GITHUB_API_URL")
    return read


def _refusal(place: str, answer: httpx.Response) -> SyncError:
    """Return the reason of a refusal and the remedy, in one line."""
    code, wait = answer.status_code, answer.headers.get("retry-after")
    if code == 429 or (code == 403 and (wait or answer.headers.get("x-ratelimit-remaining") == "0")):
        return Unreachable(f"{place}: GitHub limits the rate ({code}); run this again in {wait or 60} s")
    if code in (401, 403, 404):
        needed = "GITHUB_TOKEN needs `issues: write` or `pull-requests: write` on GITHUB_REPOSITORY"
        return PrivilegeMissing(f"{place}: GitHub refuses ({code}); {needed}")
    if code >= 500:
        return Unreachable(f"{place}: GitHub is in trouble ({code}); run this again")
    return ForgeRefused(f"{place}: GitHub answers {code}; nothing was changed")


_NEEDED = {
    "GITHUB_REPOSITORY": "owner/name",
    "GITHUB_TOKEN": "a token with `issues: write` or `pull-requests: write`",
}


def _variable(name: str, form: str, default: str = "") -> str:
    """Return an environment variable of a form."""
    value = os.environ.get(name) or default
    if not re.fullmatch(form, value):
        raise ConfigurationError(f"{name} cannot be used: it has another form ({form}); copy it again")
    return value


def repository() -> Repository:
    """Return the repository that GitHub's own variables name; raise ConfigurationError with all that are missing."""
    if missing := [f"{name} ({holds})" for name, holds in _NEEDED.items() if not os.environ.get(name)]:
        raise ConfigurationError(f"not set: {', '.join(missing)}. A job of GitHub has both; elsewhere, export them")
    address = _variable("GITHUB_API_URL", r"https?://[\w.-]+(:[0-9]{1,5})?[\w./-]*", "https://api.github.com")
    client = new_client(
        base_url=f"{address}/repos/{_variable('GITHUB_REPOSITORY', '[A-Za-z0-9._-]+/[A-Za-z0-9._-]+')}",
        headers={
            "Authorization": f"Bearer {_variable('GITHUB_TOKEN', '[!-~]+')}",
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
