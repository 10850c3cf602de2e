"""A role's password as PostgreSQL keeps it: a SCRAM-SHA-256 verifier, made here and not on the server.

`CREATE ROLE … PASSWORD` with the password itself would leave it in the server's log; the server takes a verifier as it
is. It does not open the role: whoever logs in must know the password (RFC 5802, RFC 7677).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

ITERATIONS = 4096
"""What PostgreSQL itself uses, and what its clients expect to spend."""


def verifier(password: str, salt: bytes) -> str:
    """Return what `pg_authid.rolpassword` holds for a password of printable ASCII, which needs no SASLprep."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server_key = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def salt_of(*names: str) -> bytes:
    """Return the 16 bytes of salt for what the names mean together: the same in each run, others for another role.

    A salt is public, and must only differ between roles: the server sends it to whoever says the role's name, before
    any password. So nothing of the password may be in it: a hash would let a stranger test guesses at one hash each.
    """
    return hashlib.sha256("\0".join(("bubble-sync", *names)).encode()).digest()[:16]


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")
