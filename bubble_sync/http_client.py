"""Make an HTTP client with the proxy and the certificates that the environment names."""

from __future__ import annotations

import os

import httpx

from bubble_sync.errors import ConfigurationError

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


def new_client(
    *, timeout: float, base_url: str = "", headers: dict[str, str] | None = None, trust_env: bool = True
) -> httpx.Client:
    """Return a client of httpx.

    Raises:
        ConfigurationError: a variable of the environment names no usable proxy or file of certificates.
    """
    try:
        return httpx.Client(timeout=timeout, base_url=base_url, headers=headers, trust_env=trust_env)
    except OSError:
        raise ConfigurationError(
            "SSL_CERT_FILE names no readable file of certificates in PEM form: correct or unset it"
        ) from None
    # httpx raises an ImportError without its extra package for SOCKS. The values may hold a password.
    except (ValueError, ImportError, httpx.InvalidURL):
        names = [name for one in _PROXIES for name in (one, one.lower()) if os.environ.get(name)]
        raise ConfigurationError(
            f"the environment names a proxy that cannot be used ({', '.join(names) or 'the system'}): write "
            "http://host:port (no SOCKS), and hosts with commas between them in NO_PROXY"
        ) from None
