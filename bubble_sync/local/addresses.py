"""The platform's addresses and keys, and their private file."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bubble_sync.config.keys import unissued_jwt
from bubble_sync.errors import PlatformError
from bubble_sync.files import replace_file
from bubble_sync.local.postgres.cluster import LOOPBACK, SUPERUSER, free_port

ADDRESSES_FILE = "addresses.json"
TEN_YEARS = 10 * 365 * 24 * 3600


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step by a new one that only its owner can read."""
    replace_file(path, text.encode(), mode=0o600)


class Addresses(BaseModel):
    """The addresses and throw-away keys of one platform."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    database_port: int
    endpoint_port: int
    password: str = Field(repr=False)
    #: A legacy JWT: travels as `Authorization: Bearer`.
    service_role_key: str = Field(repr=False)
    #: An `sb_secret_` key: travels as `apikey`. The endpoint takes either kind.
    secret_key: str = Field(repr=False)

    @property
    def database_url(self) -> str:
        """Return the address for the hosted role postgres, with its password."""
        return f"postgresql://postgres:{self.password}@{LOOPBACK}:{self.database_port}/postgres"

    @property
    def admin_url(self) -> str:
        """Return the address for the superuser: the socket, no password."""
        return self.socket_url(SUPERUSER)

    def socket_url(self, role: str) -> str:
        """Return the address for any login role over the socket in the folder."""
        return f"postgresql://{role}@/postgres?host={quote(str(self.folder), safe='')}&port={self.database_port}"

    @property
    def endpoint_url(self) -> str:
        """Return the address in place of the project URL."""
        return f"http://{LOOPBACK}:{self.endpoint_port}"

    def save(self) -> None:
        """Write the file that `load` reads."""
        write_private(self.folder / ADDRESSES_FILE, self.model_dump_json(indent=2))

    @classmethod
    def fresh(cls, folder: Path) -> Addresses:
        """Choose free ports, a password and keys."""
        now = int(time.time())
        claims = {"iss": "supabase-demo", "role": "service_role", "iat": now, "exp": now + TEN_YEARS}
        return cls(
            folder=folder,
            database_port=free_port(),
            endpoint_port=free_port(),
            password=secrets.token_urlsafe(24),
            # Nothing verifies the signature: the Edge Function emulator compares the whole key.
            service_role_key=unissued_jwt(claims),
            secret_key=f"sb_secret_{secrets.token_urlsafe(24)}",
        )

    @classmethod
    def load(cls, folder: Path) -> Addresses | None:
        """Read the addresses of a platform in a folder; None where there is none."""
        path = folder / ADDRESSES_FILE
        try:
            return cls.model_validate_json(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise PlatformError(f"{path} cannot be read: remove {folder}, then `bubble-sync local up`") from None

    @classmethod
    def require(cls, folder: Path) -> Addresses:
        """Read the addresses of a platform in a folder; raise PlatformError where there is none."""
        found = cls.load(folder)
        if found is None:
            raise PlatformError(f"no platform in {folder}: `bubble-sync local up`")
        return found
