"""Basic authentication: a htpasswd file, looked through here, because Envoy refuses a whole listener for one bad line."""

from __future__ import annotations

import base64
import binascii

from shared.core.refs import ObjectRef
from shared.features.parts.policy_lookup import Fault, Lookup, config_name, header_name, value_at
from shared.features.security.basic_auth.ir import BasicAuth
from shared.features.security.basic_auth.spec import KEY, BasicAuthSpec

_SHA1_BYTES = 20


def translate(spec: BasicAuthSpec, owner: ObjectRef, lookup: Lookup) -> BasicAuth:
    """Raises Fault."""
    if spec.forward_username_header is not None:
        header_name("forwardUsernameHeader", spec.forward_username_header)
    at = f"{spec.users.namespace or owner.namespace}/{spec.users.name}"
    sealed = value_at(lookup.secret(owner, spec.users), KEY, f'secret {at} must contain a non-empty "{KEY}" key')
    check(lookup.opened(sealed))
    return BasicAuth(name=config_name(owner), users=sealed, forward_username_header=spec.forward_username_header)


def check(users: bytes) -> None:
    """Raises Fault, which tells nothing of the users, where Envoy would not take the file."""
    if not users.strip():
        raise Fault("invalid htpasswd format: there is no user in it")
    names = set()
    for line in users.replace(b"\r\n", b"\n").split(b"\n"):
        name, separator, password = line.strip().partition(b":")
        if not line.strip():
            continue
        if not separator or not name:
            raise Fault("invalid htpasswd format: each line must be in the format 'username:password'")
        if name in names:
            raise Fault("invalid htpasswd format: a user stands in it twice")
        names.add(name)
        if not password.startswith(b"{SHA}"):
            raise Fault("unsupported htpasswd format: please use {SHA}")
        _check_hash(password.removeprefix(b"{SHA}"))


def _check_hash(text: bytes) -> None:
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Fault("invalid htpasswd format: {SHA} must be base64-encoded SHA1") from None
    if len(digest) != _SHA1_BYTES:
        raise Fault(f"invalid htpasswd format: {{SHA}} must be SHA1 ({_SHA1_BYTES} bytes)")
