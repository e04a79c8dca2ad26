"""A backend with TLS that tells each client who it is: by its answer one sees which certificate the proxy showed."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from examples.spiffe.identities import Svid


@contextlib.asynccontextmanager
async def backend(folder: Path, name: str, svid: Svid, bundle: str) -> AsyncIterator[int]:
    """Its port. Clients without a certificate are served, too; those with one must be of the trust domain."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_text(svid.certificate)
    key.write_text(svid.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=bundle)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(certificate, key)

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert") or {}
        ids = [value for kind, value in peer.get("subjectAltName", ()) if kind == "URI"]
        made = web.json_response({"backend": name, "client": ids[0] if ids else None, "certificate": peer.get("serialNumber")})
        # the next request is a new connection, and shows the certificate of that time
        made.force_close()
        return made

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
