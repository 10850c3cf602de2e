"""The verifier that stands for a password."""

import hashlib
import hmac
from base64 import b64decode

from bubble_sync.database.scram import salt_of, verifier

# The exchange in RFC 7677, section 3: the user is `user`, the password `pencil`.
SALT, NONCE = "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
MESSAGE = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s={SALT},i=4096,c=biws,r={NONCE}".encode()
PROOF = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SIGNATURE = b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_the_exchange_of_rfc_7677_succeeds_with_it():
    head, keys = verifier("pencil", b64decode(SALT)).rsplit("$", 1)
    stored_key, server_key = (b64decode(key) for key in keys.split(":"))

    signed = hmac.digest(stored_key, MESSAGE, "sha256")
    client_key = bytes(one ^ other for one, other in zip(PROOF, signed, strict=True))

    assert head == f"SCRAM-SHA-256$4096:{SALT}"
    assert hashlib.sha256(client_key).digest() == stored_key
    assert hmac.digest(server_key, MESSAGE, "sha256") == SIGNATURE


def test_a_salt_is_the_same_in_each_run_and_another_for_another_project_or_role():
    salts = [salt_of("https://a.supabase.co", "m"), salt_of("https://b.supabase.co", "m"),
             salt_of("https://a.supabase.co", "n")]  # fmt: skip

    assert salt_of("https://a.supabase.co", "m") == salts[0]
    assert [len(salt) for salt in salts] == [16] * 3
    assert len(set(salts)) == 3
