"""Compute a SCRAM-SHA-256 verifier, so that the server never sees the role's password.

`CREATE ROLE … PASSWORD` with a plain password would write the password to the server's log; the server also accepts a
verifier. A verifier does not allow a login, which needs the password (RFC 5802, RFC 7677).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

ITERATIONS = 4096
"""PostgreSQL's default."""


def verifier(password: str, salt: bytes) -> str:
    """Return the `pg_authid.rolpassword` for a password of printable ASCII, which needs no SASLprep."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server_key = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def salt_of(*names: str) -> bytes:
    """Return a 16-byte salt for the names, stable between runs.

    A salt is public: the server sends the salt to any client that names the role. So the salt must not depend on the
    password, or a stranger could test guesses against the salt.
    """
    return hashlib.sha256("\0".join(("bubble-sync", *names)).encode()).digest()[:16]


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")
