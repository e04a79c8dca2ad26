"""What proxies ask of the control plane itself beside their configuration, and how both sides know each other there."""

from __future__ import annotations

import base64

from msgspec.structs import replace

from services.translator.stages import upstream_tls
from services.translator.stages.policies.shards import MODULE_USERS
from services.translator.stages.tables import SECRETS, core_ref, environment, settings
from shared.core.refs import GatewayRef, ObjectRef
from shared.features.extension.wasm.ir import ModuleService
from shared.incremental import Db
from shared.ir.tls import TlsCertificate

PROXY_SECRET = "envoy"
"""The certificate by which proxies show that they are ours."""


def client_certificate(db: Db, fleet: GatewayRef) -> TlsCertificate | None:
    """Where somebody has to see it; otherwise nobody reads the Secret."""
    asked = (settings(db).rate_limit, module_service(db, fleet))
    if not any(each is not None and each.tls for each in asked):
        return None
    found = upstream_tls.client_certificate(db, _secret(db))
    return found if isinstance(found, TlsCertificate) else None


def module_service(db: Db, fleet: GatewayRef) -> ModuleService | None:
    """Where proxies get Wasm modules; None while none of them needs any."""
    if not db.group(MODULE_USERS, fleet):
        return None
    service = settings(db).modules
    if not service.tls or not settings(db).shows_authority:
        return service
    row = db.get(SECRETS, _secret(db))
    try:
        authority = environment(db).opened(row.data["ca.crt"]) if row is not None and "ca.crt" in row.data else b""
    except ValueError:
        authority = b""
    return replace(service, authority=base64.b64encode(authority).decode())


def _secret(db: Db) -> ObjectRef:
    return core_ref("Secret", settings(db).controller_namespace, PROXY_SECRET)
