"""EnvoyPatchPolicy with real traffic: the external authorization of a user's article, and what a policy is told of its patches."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from shared.testing.servers import grpc_server
from shared.testing.wait import until
from shared.xds.message import decode, encode
from tests.integration.conftest import Running
from tests.integration.pipeline import Pipeline

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXT_AUTHZ = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyPatchPolicy
metadata: {{name: ext-authz-patch-policy}}
spec:
  targetRef: {{group: gateway.networking.k8s.io, kind: Gateway, name: gw, namespace: default}}
  type: JSONPatch
  jsonPatches:
  - type: "type.googleapis.com/envoy.config.listener.v3.Listener"
    name: "default/gw/http"
    operation:
      op: add
      path: "/default_filter_chain/filters/0/typed_config/http_filters/0"
      value:
        name: "envoy.filters.http.ext_authz"
        typed_config:
          "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
          grpc_service:
            envoy_grpc:
              cluster_name: envoy_ext_jwt_auth
  - type: "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    name: envoy_ext_jwt_auth
    operation:
      op: add
      path: ""
      value:
        name: envoy_ext_jwt_auth
        type: STATIC
        connect_timeout: 1s
        typed_extension_protocol_options:
          envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
            "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
            explicit_http_config: {{http2_protocol_options: {{}}}}
        load_assignment:
          cluster_name: envoy_ext_jwt_auth
          endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]
"""
PATCH = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyPatchPolicy
metadata: {{name: {name}}}
spec:
  targetRef: {{group: gateway.networking.k8s.io, kind: Gateway, name: gw}}
  type: JSONPatch
  jsonPatches:
  - type: type.googleapis.com/envoy.config.{type}
    name: {of}
    operation: {operation}
"""


@contextlib.asynccontextmanager
async def authorization() -> AsyncIterator[int]:
    """An authorization service that lets pass who says so; gives its port."""

    async def check(request: bytes, _: Any) -> bytes:
        headers = decode("envoy.service.auth.v3.CheckRequest", request).attributes.request.http.headers
        code = 0 if headers.get("authorization") == "Bearer good" else 7
        return encode("envoy.service.auth.v3.CheckResponse", {"status": {"code": code}})

    async with grpc_server("envoy.service.auth.v3.Authorization", Check=grpc.unary_unary_rpc_method_handler(check)) as port:
        yield port


def programmed(p: Pipeline, name: str) -> tuple[str, str, str]:
    ancestors = p.status("gateway.envoyproxy.io", "EnvoyPatchPolicy", name).get("ancestors", ())
    found = [c for a in ancestors for c in a["conditions"] if c["type"] == "Programmed"]
    return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else ("", "", "")


async def served(p: Pipeline, code: int, **headers: str) -> None:
    async def right() -> bool:
        return (await p.get("/good", **headers)).status_code == code

    await until(right, 20)


async def test_external_authorization_by_a_patch(shared: Running) -> None:
    p = shared.p
    async with authorization() as port:
        p.write("patch.yaml", EXT_AUTHZ.format(port=port))
        await served(p, 403)
        await served(p, 200, authorization="Bearer good")
        assert (await p.get("/good", authorization="Bearer bad")).status_code == 403
        await until(lambda: programmed(p, "ext-authz-patch-policy")[:2] == ("True", "Programmed"), 20)
        p.write("patch.yaml", "")
        await served(p, 200)


async def test_a_policy_is_told_what_cannot_be_patched(shared: Running) -> None:
    p = shared.p
    p.write("patch.yaml", PATCH.format(name="lost", type="cluster.v3.Cluster", of="nobody", operation="{op: remove, path: /name}"))
    await until(lambda: programmed(p, "lost")[:2] == ("False", "ResourceNotFound"), 20)
    p.write(
        "patch.yaml", PATCH.format(name="lost", type="listener.v3.Listener", of="default/gw/http", operation="{op: remove, path: /nothing}")
    )
    await until(lambda: programmed(p, "lost")[:2] == ("False", "Invalid"), 20)
    assert (await p.get("/good")).status_code == 200
    p.write("patch.yaml", "")


async def test_a_patch_that_envoy_refuses_is_set_aside_and_told(shared: Running) -> None:
    """Envoy knows no filter of that name; our own checks cannot know that."""
    p = shared.p
    unknown = (
        "{op: add, path: /default_filter_chain/filters/0/typed_config/http_filters/0, value: {name: unknown, typed_config: "
        '{"@type": type.googleapis.com/envoy.config.core.v3.Metadata}}}'
    )
    p.write("patch.yaml", PATCH.format(name="refused", type="listener.v3.Listener", of="default/gw/http", operation=unknown))
    await until(lambda: programmed(p, "refused")[:2] == ("False", "Invalid"), 20)
    assert "rejected" in programmed(p, "refused")[2]
    p.route("later", "one", path="/later", answer="later")
    await p.answers("/later", "later")
    p.write("patch.yaml", "")
