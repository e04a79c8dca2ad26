"""API keys: every Secret's clients together; the first Secret that knows a client has the word."""

from __future__ import annotations

import base64

from shared.core.refs import ObjectRef
from shared.features.parts.policy_lookup import Fault, Lookup, header_name
from shared.features.security.api_key_auth.ir import ApiKey, ApiKeyAuth, KeyPlaces
from shared.features.security.api_key_auth.spec import ApiKeyAuthSpec


def translate(spec: ApiKeyAuthSpec, owner: ObjectRef, lookup: Lookup) -> ApiKeyAuth:
    """Raises Fault."""
    if spec.forward_client_id_header is not None:
        header_name("forwardClientIDHeader", spec.forward_client_id_header)
    for places in spec.extract_from:
        if sum(map(bool, (places.headers, places.params, places.cookies))) > 1:
            raise Fault("only one of headers, params or cookies must be specified")
    keys: dict[str, str] = {}
    seen: set[bytes] = set()
    for ref in spec.credential_refs:
        data = lookup.secret(owner, ref)
        for client in sorted(data.keys() - keys.keys()):
            plain = lookup.opened(data[client])
            if plain in seen:
                raise Fault("duplicated API key")
            if not _sendable(plain):
                raise Fault(f"the API key of {client} is empty or holds bytes that no header can")
            seen.add(plain)
            keys[client] = data[client]
    return ApiKeyAuth(
        credentials=tuple(ApiKey(client=base64.b64encode(c.encode()).decode(), key=key) for c, key in keys.items()),
        extract_from=tuple(KeyPlaces(headers=p.headers, cookies=p.cookies, params=p.params) for p in spec.extract_from),
        forward_client_id_header=spec.forward_client_id_header,
        sanitize=spec.sanitize,
    )


def _sendable(key: bytes) -> bool:
    try:
        return bool(key.decode())
    except UnicodeDecodeError:
        return False
