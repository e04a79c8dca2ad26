"""Secrets that only say where a secret is to be had: from a server of secrets (SDS) beside the proxy."""

from __future__ import annotations

from urllib.parse import urlsplit

from services.translator.stages.tables import environment, settings
from shared.api.core import Secret
from shared.core.refs import ObjectRef
from shared.incremental import Db
from shared.ir.tls import Sds

SDS_TYPE = "gateway.envoyproxy.io/sds"


def sds(db: Db, ref: ObjectRef, secret: Secret) -> Sds:
    """Where the secret is; ValueError with the reason why that cannot be used."""
    at = f"{ref.namespace}/{ref.name}"
    if not settings(db).sds:
        raise ValueError(f"SDS Secret {at} cannot be used: SDS Secret references are not enabled in the EnvoyGateway configuration")
    found: dict[str, str] = {}
    for key in ("secretName", "url"):
        if not secret.data.get(key):
            raise ValueError(f"no {key} found in SDS reference secret {at}")
        found[key] = environment(db).opened(secret.data[key]).decode(errors="replace")
    try:
        url = urlsplit(found["url"])
    except ValueError as e:
        raise ValueError(f"invalid URL in SDS reference secret {at}: {e}") from None
    if url.scheme != "unix" or url.netloc not in ("", ".") or not (url.netloc or url.path):
        raise ValueError(f"invalid URL in SDS reference secret {at}: it must be unix:///absolute/path or unix://./relative/path")
    return Sds(secret_name=found["secretName"], scheme=url.scheme, address=url.netloc + url.path)
