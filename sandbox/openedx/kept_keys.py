"""The platform's RSA keys: made quickly, and loaded once.

The package has a key made in Python for each passport, and loads it anew for whatever it does: four times a launch, and
each time OpenSSL proves again that the primes are primes. That was two thirds of all that the sandbox computed.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from Cryptodome.PublicKey import RSA
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt import algorithms
from jwt.algorithms import RSAAlgorithm

KEYS = 64


def install() -> None:
    """Let OpenSSL make the keys, and PyJWT give the same key object for the same PEM text or private JWK."""
    load_jwk = lru_cache(KEYS)(RSAAlgorithm.from_jwk)

    def from_jwk(jwk: str | dict[str, Any]) -> Any:
        return load_jwk(jwk if isinstance(jwk, str) else json.dumps(jwk, sort_keys=True))

    algorithms.load_pem_private_key = lru_cache(KEYS)(algorithms.load_pem_private_key)
    RSAAlgorithm.from_jwk = staticmethod(from_jwk)  # type: ignore[method-assign, assignment]
    RSA.generate = _generate


def _generate(bits: int) -> RSA.RsaKey:
    key = generate_private_key(public_exponent=65537, key_size=bits)
    return RSA.import_key(key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
