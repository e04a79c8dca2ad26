"""Scripts, looked through before a proxy gets them: one that does not parse costs Envoy a whole listener.

Envoy Gateway runs them for a trial with things that look like Envoy's. Here nobody's script is run: it is read, and all names that it
uses must be its own, Lua's, or those of Envoy's interface.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.features.extension.lua.script import NoScript, Uses, read

_ENTRIES = ("envoy_on_request", "envoy_on_response")
_LUA = frozenset(
    "assert bit collectgarbage coroutine error ipairs math next pairs pcall print rawequal select string table tonumber tostring type"  # noqa: SIM905
    " unpack xpcall _VERSION EnvoyTimestampResolution".split()
)
_CLOCK = frozenset(("clock", "date", "difftime", "time"))
"""All of `os` that touches nothing of the proxy's machine."""

_ENVOY = frozenset(
    # all that logs
    "logTrace logDebug logInfo logWarn logErr logCritical"  # noqa: SIM905
    # a stream
    " headers body bodyChunks trailers httpCall respond metadata streamInfo connection connectionStreamInfo filterContext virtualHost route"
    " setUpstreamOverrideHost clearRouteCache importPublicKey verifySignature base64Escape timestamp timestampString"
    # headers, bodies and metadata
    " add append get getAtIndex getNumValues remove replace set setHttp1ReasonPhrase getHttp1ReasonPhrase length getBytes setBytes"
    # where a stream comes from
    " ssl protocol routeName virtualClusterName downstreamDirectLocalAddress downstreamLocalAddress downstreamDirectRemoteAddress"
    " downstreamRemoteAddress downstreamSslConnection dynamicMetadata dynamicTypedMetadata filterState requestedServerName"
    " drainConnectionUponCompletion"
    " peerCertificatePresented peerCertificateValidated uriSanLocalCertificate sha256PeerCertificateDigest serialNumberPeerCertificate"
    " issuerPeerCertificate subjectPeerCertificate parsedSubjectPeerCertificate uriSanPeerCertificate subjectLocalCertificate"
    " urlEncodedPemEncodedPeerCertificate urlEncodedPemEncodedPeerCertificateChain dnsSansPeerCertificate dnsSansLocalCertificate"
    " oidsPeerCertificate oidsLocalCertificate validFromPeerCertificate expirationPeerCertificate sessionId ciphersuiteId ciphersuiteString"
    " tlsVersion commonName organizationName".split()
)
_STRING = frozenset("byte find format gmatch gsub len lower match rep reverse sub upper".split())  # noqa: SIM905


def script_fault(text: str, validation: str) -> str | None:
    """Why a script is not taken; `validation` says how closely it is looked at. A kind of looking that is not known is the closest."""
    if not any(entry in text for entry in _ENTRIES):
        return f"expected one of {_ENTRIES[0]}() or {_ENTRIES[1]}() to be defined"
    if validation == "Disabled":
        return None
    try:
        uses = read(text)
    except NoScript as e:
        return str(e)
    return next(_strangers(uses), None) if validation != "InsecureSyntax" else None


def _strangers(uses: Uses) -> Iterator[str]:
    if not uses.defines.intersection(_ENTRIES):
        yield f"expected one of {_ENTRIES[0]}() or {_ENTRIES[1]}() to be defined"
    for name, field in sorted(uses.reads):
        if name == "os" and field not in _CLOCK:
            yield f"of os, a script may use {', '.join(sorted(_CLOCK))} alone"
        if name != "os" and name not in _LUA and (name not in uses.defines or name in _FORBIDDEN):
            yield f"{name} is nothing that a script may use"
    for name in sorted(uses.methods - _ENVOY - _STRING):
        yield f"nothing has a method {name}()"


_FORBIDDEN = frozenset(
    "_G debug dofile ffi getfenv getmetatable io jit load loadfile loadstring module newproxy package rawget rawset require setfenv"  # noqa: SIM905
    " setmetatable".split()
)
"""What reaches out of a script; not even one that sets such a name itself may read it."""
