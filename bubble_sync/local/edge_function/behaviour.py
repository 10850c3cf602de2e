"""Behaviour of the Edge Function emulator from the next request on."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from bubble_sync.local.addresses import write_private

BEHAVIOUR_FILE = "edge_function_behaviour.json"


class Behaviour(BaseModel):
    """What to do other than working; the defaults work."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, ser_json_bytes="base64", val_json_bytes="base64"
    )

    #: False stands for a project without the function: the gateway answers 404.
    deployed: bool = True
    #: Answer this HTTP status and touch no item.
    status: int | None = Field(default=None, ge=200, le=599)
    #: Answer with this body, and `status` or 200, and touch no item.
    body: bytes | None = None
    #: Work, and answer 202 with nothing.
    silent: bool = False
    #: Answer with a redirect to a page that asks who calls.
    redirect: bool = False
    #: Wait so long before anything else.
    hang_seconds: float = Field(default=0, ge=0)
    #: Mark each claimed item as failed with this message.
    fail_with: str | None = None
    #: When a failed item is due again.
    retry_after_seconds: float = Field(default=60, ge=0)
    #: Claim items for a lease through sql/reference/claim.sql, which must be installed, and drain batch after batch.
    claims: bool = False
    #: How long the work on an item takes, as a call of Bubble does.
    work_seconds: float = Field(default=0, ge=0)
    #: Answer after the claim and leave the items in `processing`, as a killed Edge worker does.
    abandon: bool = False
    #: A gateway in front demands a Bearer that it knows, as a function deployed with `verify_jwt = true` has one.
    verify_jwt: bool = False
    #: The function compares the key itself; False serves whomever the gateway, where there is one, lets through.
    checks_key: bool = True
    #: Legacy keys are switched off: no legacy JWT is right any more.
    legacy_disabled: bool = False
    #: The platform's own two keys are right; False stands for revoked.
    own_keys: bool = True
    #: Accepted too: an `sb_secret_` key as `apikey`, any other as Bearer.
    keys: tuple[str, ...] = Field(default=(), repr=False)

    def save(self, folder: Path) -> None:
        """Make this the behaviour of the platform in a folder."""
        write_private(folder / BEHAVIOUR_FILE, self.model_dump_json())

    @classmethod
    def load(cls, folder: Path) -> Behaviour:
        """Read the behaviour of the platform in a folder."""
        path = folder / BEHAVIOUR_FILE
        return cls.model_validate_json(path.read_text("utf-8")) if path.exists() else cls()
