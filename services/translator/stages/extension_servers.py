"""With what extension servers are spoken to: their Secrets, on their way to the xds_servers that ask them."""

from __future__ import annotations

import base64

from services.translator.settings import ServerTls
from services.translator.stages.tables import SECRETS, core_ref, environment, settings
from shared.incremental import Db, query
from shared.ir.unstructured import ExtensionServer

CERTIFICATE, KEY = "tls.crt", "tls.key"


@query
def extension_servers(db: Db) -> tuple[ExtensionServer, ...]:
    """Of all servers that are spoken to over TLS. Raises Pending while a Secret is unknown."""
    return tuple(_server(db, of) for of in settings(db).extensions.tls)


def _server(db: Db, of: ServerTls) -> ExtensionServer:
    try:
        authority = _certificate(db, of.authority)
        if of.client is None:
            return ExtensionServer(name=of.name, ca_certificate=authority)
        shown, key = _certificate(db, of.client), _key(db, of.client)
        return ExtensionServer(name=of.name, ca_certificate=authority, certificate=shown, private_key=key)
    except ValueError as e:
        return ExtensionServer(name=of.name, fault=str(e))


def _value(db: Db, at: tuple[str, str], key: str) -> str:
    row = db.get(SECRETS, core_ref("Secret", *at))
    if row is None:
        raise ValueError(f"secret {at[0]}/{at[1]} does not exist")
    value = row.data.get(key)
    if not value:
        raise ValueError(f"secret {at[0]}/{at[1]} has no {key}")
    return value


def _certificate(db: Db, at: tuple[str, str]) -> str:
    found = environment(db).opened(_value(db, at, CERTIFICATE))
    if b"BEGIN CERTIFICATE" not in found:
        raise ValueError(f"secret {at[0]}/{at[1]}: {CERTIFICATE} holds no certificate in PEM")
    return base64.b64encode(found).decode()


def _key(db: Db, at: tuple[str, str]) -> str:
    """As it is stored: sealed."""
    return _value(db, at, KEY)
