"""The platform's RSA keys, each loaded once.

The package loads its private key anew for whatever it does, four times a launch, and each time OpenSSL proves again
that the primes are primes: that was two thirds of all that the sandbox computed.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from jwt import algorithms
from jwt.algorithms import RSAAlgorithm

KEYS = 64


def install() -> None:
    """Make PyJWT give the same key object for the same PEM text and for the same private JWK."""
    load_jwk = RSAAlgorithm.from_jwk
    loaded = lru_cache(KEYS)(load_jwk)

    def from_jwk(jwk: str | dict[str, Any]) -> Any:
        return loaded(jwk if isinstance(jwk, str) else json.dumps(jwk, sort_keys=True))

    algorithms.load_pem_private_key = lru_cache(KEYS)(algorithms.load_pem_private_key)
    RSAAlgorithm.from_jwk = staticmethod(from_jwk)  # type: ignore[method-assign, assignment]
