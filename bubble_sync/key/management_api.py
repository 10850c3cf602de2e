"""Read and set a project's function secrets through Supabase's Management API.

Source: the API's published OpenAPI document, `/v1/projects/{ref}/secrets`. The API never returns a value, only its
SHA-256 digest. The access token goes into one header, and only to the configured host: redirects are not followed.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from bubble_sync.config.keys import masked
from bubble_sync.config.validators import sendable_url
from bubble_sync.errors import Busy, ConfigurationError, PrivilegeMissing, SyncError, Unreachable
from bubble_sync.http_client import new_client
from bubble_sync.records.messages import readable

ACCESS_VARIABLE = "SUPABASE_ACCESS_TOKEN"
ADDRESS_VARIABLE = "SUPABASE_API_URL"
_ADDRESS = "https://api.supabase.com"
_ANSWERS_WITHIN_SECONDS = 30
_TOKENS = "https://supabase.com/dashboard/account/tokens"


class StoredSecret(BaseModel):
    """A function secret as the API shows it."""

    name: str
    value: str
    """The SHA-256 digest of the value, in hexadecimal digits."""
    updated_at: datetime | None = None


_SECRETS = TypeAdapter(list[StoredSecret])


@dataclass(frozen=True)
class ManagementApi:
    """The function secrets of one project, through one access token."""

    project_ref: str
    address: str
    token: str = field(repr=False)
    seconds: float = _ANSWERS_WITHIN_SECONDS

    @classmethod
    def of(cls, project_ref: str, environment: Mapping[str, str]) -> ManagementApi:
        """Return the API that the environment names; raise ConfigurationError without a usable token or address."""
        token = environment.get(ACCESS_VARIABLE, "")
        if not token:
            raise ConfigurationError(
                f"{ACCESS_VARIABLE} is not set: make an access token at {_TOKENS}, and export it there"
            )
        if not re.fullmatch(r"[!-~]+", token):
            raise ConfigurationError(f"{ACCESS_VARIABLE} holds a character that no token has: copy it again")
        address = environment.get(ADDRESS_VARIABLE) or _ADDRESS
        if not re.fullmatch(sendable_url(allow_http=False), address):
            raise ConfigurationError(
                f"{ADDRESS_VARIABLE} is not https://host (http on this machine only): correct or unset it"
            )
        return cls(project_ref, address.removesuffix("/"), token)

    def secret(self, name: str) -> StoredSecret | None:
        """Return a function secret, or None when the project has none of this name."""
        answer = self._ask("GET")
        try:
            secrets = _SECRETS.validate_json(answer.content)
        except ValidationError:
            raise self._not_the_api(answer) from None
        return next((one for one in secrets if one.name == name), None)

    def set_secret(self, name: str, value: str) -> None:
        """Create or replace a function secret."""
        self._ask("POST", name, value)

    def _ask(self, method: str, name: str = "", value: str | None = None) -> httpx.Response:
        body = None if value is None else json.dumps([{"name": name, "value": value}]).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        # A proxy must not read the token: only an address with TLS goes through the environment's proxy.
        try:
            with new_client(timeout=self.seconds, trust_env=self.address.startswith("https:")) as client:
                answer = client.request(method, self._url, content=body, headers=headers)
        except UnicodeError:
            raise ConfigurationError(f"{ADDRESS_VARIABLE}, or the proxy, has no valid host name: correct it") from None
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise Unreachable(f"the Management API at {self.address} {self._cause(problem)}") from None
        if not answer.is_success:
            raise self._refusal(answer, name, value)
        return answer

    @property
    def _url(self) -> str:
        return f"{self.address}/v1/projects/{self.project_ref}/secrets"

    def _cause(self, problem: Exception) -> str:
        if isinstance(problem, httpx.TimeoutException):
            return f"did not answer within {self.seconds:g} s: run again"
        tls = next((one for one in _causes(problem) if isinstance(one, ssl.SSLError)), None)
        if isinstance(tls, ssl.SSLCertVerificationError):
            return (
                f"has no certificate that this machine trusts ({tls.verify_message}): nothing was sent. If a proxy of "
                "yours signs connections, set SSL_CERT_FILE to its CA"
            )
        if tls is not None:
            return f"does not speak TLS as expected ({tls.reason}): correct {ADDRESS_VARIABLE}, or look at the proxy"
        return f"does not answer ({type(problem).__name__}): check the network and the proxy, then run again"

    def _refusal(self, answer: httpx.Response, name: str, value: str | None) -> SyncError:
        """Return the error for a status that is no success."""
        code, verb = answer.status_code, "read" if value is None else "write"
        if answer.is_redirect:
            return ConfigurationError(
                f"the Management API at {self.address} redirects elsewhere ({code}): the token was not sent there. "
                f"Correct {ADDRESS_VARIABLE}, or look at the proxy"
            )
        if code < 500 and "html" in answer.headers.get("content-type", ""):
            return self._not_the_api(answer)
        if code == 401:
            return ConfigurationError(
                f"the Management API does not accept {ACCESS_VARIABLE} (401): it is wrong, expired or revoked. Make "
                f"another one at {_TOKENS}"
            )
        if code == 403:
            return PrivilegeMissing(
                f"{ACCESS_VARIABLE} may not {verb} the function secrets of project {self.project_ref} (403): it needs "
                f"edge_functions_secrets_{verb} (OAuth: secrets:{verb}) there"
            )
        if code == 404:
            return ConfigurationError(
                f"the Management API finds no project {self.project_ref} (404): correct bubble-sync:projectRef, or "
                "take a token of a member of the project"
            )
        if code == 429:
            return Busy(f"the Management API limits the rate (429): run again in {_wait(answer)} s")
        if code >= 500:
            return Unreachable(f"the Management API is in trouble ({code}): see https://status.supabase.com; run again")
        return self._invalid(answer, name, value)

    def _invalid(self, answer: httpx.Response, name: str, value: str | None) -> SyncError:
        what = f"function secret {name}" if name else f"project {self.project_ref}"
        message = _message(answer)
        if message is None:
            return self._not_the_api(answer)
        shown = readable(masked(message, self.token, value or "", *(value or "").split(",")))
        return ConfigurationError(f"the Management API refuses {what} ({answer.status_code}): {shown}")

    def _not_the_api(self, answer: httpx.Response) -> SyncError:
        kind = answer.headers.get("content-type", "no type").partition(";")[0][:40]
        return ConfigurationError(
            f"{self.address} does not answer as the Management API does ({answer.status_code}, {kind}): correct "
            f"{ADDRESS_VARIABLE}, or look at the proxy that answers in its place"
        )


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


def _wait(answer: httpx.Response) -> str:
    """Return the seconds to wait; the API sends `x-ratelimit-reset`, a proxy `Retry-After`."""
    named = (answer.headers.get(header, "") for header in ("retry-after", "x-ratelimit-reset"))
    return next((text for text in named if re.fullmatch(r"\d{1,5}", text)), "60")


def _message(answer: httpx.Response) -> str | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else None
