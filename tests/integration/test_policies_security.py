"""SecurityPolicies and EnvoyExtensionPolicies with real traffic, each on a route of its own, asking services of the test's."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
import yaml
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from shared.runtime.config import EnvoyGateway, ExtensionApis
from shared.testing.servers import grpc_server, http_server
from shared.testing.wait import until
from shared.xds.message import decode, encode
from tests.integration.conftest import Running
from tests.integration.pipeline import Pipeline
from tests.integration.wasm_module import adding

pytestmark = pytest.mark.asyncio(loop_scope="module")

GATEWAY = "gateway.networking.k8s.io"
AUTH, PROC = "envoy.service.auth.v3", "envoy.service.ext_proc.v3"


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs tokens, and publishes the key that proves them."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> str:
        numbers = self._key.public_key().public_numbers()
        n, e = (b64url(x.to_bytes((x.bit_length() + 7) // 8, "big")) for x in (numbers.n, numbers.e))
        return json.dumps({"keys": [{"kty": "RSA", "kid": "k", "alg": "RS256", "use": "sig", "n": n, "e": e}]})

    def token(self, **claims: Any) -> str:
        said = {"iss": "https://issuer.example.com", "sub": "joe", "exp": int(time.time()) + 600} | claims
        signed = ".".join(b64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "k", "typ": "JWT"}, said))
        return f"{signed}.{b64url(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


class Around:
    """The pipeline with a backend that answers with the headers that it got."""

    def __init__(self, p: Pipeline, client: httpx.AsyncClient) -> None:
        self.p = p
        self.client = client

    def put(self, name: str, *objects: dict[str, Any]) -> None:
        """Objects of group, kind and spec, in a file of that name."""
        self.p.write(f"{name}.yaml", yaml.safe_dump_all(objects))

    def policy(self, name: str, kind: str = "SecurityPolicy", **spec: Any) -> None:
        """A policy on a route of that name, which serves the path of that name; both at once."""
        rule = {"matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}], "backendRefs": [ref("headers")]}
        route = made("HTTPRoute", name, {"parentRefs": [{"name": "gw"}], "rules": [rule]}, f"{GATEWAY}/v1")
        target = {"group": GATEWAY, "kind": "HTTPRoute", "name": name}
        self.put(f"policy-{name}", route, made(kind, name, {"targetRefs": [target], **spec}))

    async def becomes(self, status: int, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """The first answer with that status."""
        found: list[httpx.Response] = []

        async def right() -> bool:
            found.append(await self.ask(path, method, **headers))
            return found[-1].status_code == status

        await until(right, 20)
        return found[-1]

    async def ask(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.request(method, f"http://127.0.0.1:{self.p.port}{path}", headers=named)

    def accepted(self, name: str, kind: str = "SecurityPolicy") -> tuple[str, str]:
        ancestors = self.p.status("gateway.envoyproxy.io", kind, name).get("ancestors", ())
        found = [c for a in ancestors for c in a["conditions"] if c["type"] == "Accepted"]
        return (found[0]["status"], found[0]["message"]) if found else ("", "")


def made(kind: str, name: str, spec: dict[str, Any], group: str = "gateway.envoyproxy.io/v1alpha1") -> dict[str, Any]:
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}


def data(kind: str, name: str, field: str, values: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: values}


def ref(name: str, **more: Any) -> dict[str, Any]:
    return {"group": "gateway.envoyproxy.io", "kind": "Backend", "name": name, **more}


def got(answer: httpx.Response) -> dict[str, str]:
    """The headers that the backend got."""
    found: dict[str, str] = answer.json()
    return found


def new_client() -> httpx.AsyncClient:
    """It closes its connections: an open one goes on with the filters that it began with until Envoy has drained it."""
    return httpx.AsyncClient(timeout=5, limits=httpx.Limits(max_keepalive_connections=0))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def around(shared: Running) -> AsyncIterator[Around]:
    def headers(request: web.Request) -> web.Response:
        return web.json_response({k.lower(): v for k, v in request.headers.items()})

    async with http_server(headers) as port:
        shared.p.backend("headers", port)
        async with new_client() as client:
            yield Around(shared.p, client)


async def test_cors(around: Around) -> None:
    around.policy("cors", cors={"allowOrigins": ["https://*.example.com"], "allowMethods": ["PUT"], "maxAge": "10m"})
    asked = {"origin": "https://www.example.com", "access_control_request_method": "PUT"}

    async def answered() -> bool:
        return "access-control-allow-origin" in (await around.ask("/cors", "OPTIONS", **asked)).headers

    await until(answered, 20)
    answer = await around.ask("/cors", "OPTIONS", **asked)
    assert answer.headers["access-control-allow-origin"] == "https://www.example.com"
    assert (answer.headers["access-control-allow-methods"], answer.headers["access-control-max-age"]) == ("PUT", "600")
    assert "access-control-allow-origin" not in (await around.ask("/cors", "OPTIONS", **(asked | {"origin": "https://evil.com"}))).headers


async def test_csrf(around: Around) -> None:
    around.policy("csrf", csrf={"additionalOrigins": ["https://www.example.com"]})
    await around.becomes(403, "/csrf", "POST", origin="https://evil.com")
    assert (await around.ask("/csrf", "POST", origin="https://www.example.com")).status_code == 200
    assert (await around.ask("/csrf", origin="https://evil.com")).status_code == 200


async def test_jwt_with_inline_keys_and_claims_as_headers(around: Around) -> None:
    issuer = Issuer()
    provider = {"name": "ours", "issuer": "https://issuer.example.com", "claimToHeaders": [{"header": "x-who", "claim": "sub"}]}
    around.policy("inline", jwt={"providers": [{**provider, "localJWKS": {"type": "Inline", "inline": issuer.jwks()}}]})
    await around.becomes(401, "/inline")
    answer = await around.becomes(200, "/inline", authorization=f"Bearer {issuer.token()}")
    assert got(answer)["x-who"] == "joe"
    for wrong in (Issuer().token(), issuer.token(iss="https://other"), issuer.token(exp=1), "nonsense"):
        assert (await around.ask("/inline", authorization=f"Bearer {wrong}")).status_code == 401
    assert (await around.ask("/good")).status_code == 200


async def test_jwt_with_keys_in_a_config_map_that_may_be_missing(around: Around) -> None:
    issuer = Issuer()
    local = {"type": "ValueRef", "valueRef": {"group": "", "kind": "ConfigMap", "name": "keys"}}
    places = {"headers": [{"name": "x-token", "valuePrefix": "Key "}], "params": ["token"]}
    around.policy("local", jwt={"optional": True, "providers": [{"name": "ours", "localJWKS": local, "extractFrom": places}]})
    # while nobody knows the keys nobody comes in
    await around.becomes(500, "/local")
    assert around.accepted("local")[0] in ("", "False")
    around.put("keys", data("ConfigMap", "keys", "data", {"jwks": issuer.jwks()}))
    await around.becomes(200, "/local")
    assert (await around.ask("/local", x_token=f"Key {issuer.token()}")).status_code == 200
    assert (await around.ask(f"/local?token={issuer.token()}")).status_code == 200
    assert (await around.ask("/local", x_token=f"Key {Issuer().token()}")).status_code == 401


async def test_jwt_with_remote_keys(around: Around) -> None:
    issuer = Issuer()
    asked: list[str] = []

    def keys(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text=issuer.jwks())

    async with http_server(keys) as port:
        around.p.backend("idp", port)
        remote = {"uri": f"http://127.0.0.1:{port}/jwks.json", "backendRefs": [ref("idp", port=port)]}
        around.policy("remote", jwt={"providers": [{"name": "far", "remoteJWKS": remote}]})
        await around.becomes(401, "/remote")
        await around.becomes(200, "/remote", authorization=f"Bearer {issuer.token()}")
        assert (await around.ask("/remote", authorization=f"Bearer {Issuer().token()}")).status_code == 401
        assert "/jwks.json" in asked
        # another route's providers stand in the same filter
        assert (await around.ask("/good")).status_code == 200


def htpasswd(**users: str) -> str:
    lines = (f"{name}:{{SHA}}{base64.b64encode(hashlib.sha1(word.encode()).digest()).decode()}\r\n" for name, word in users.items())
    return "".join(lines)


def basic(name: str, word: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()


async def test_basic_auth(around: Around) -> None:
    around.put("users", data("Secret", "users", "stringData", {".htpasswd": htpasswd(joe="correct horse", ann="battery")}))
    around.policy("basic", basicAuth={"users": {"name": "users"}, "forwardUsernameHeader": "x-user"})
    await around.becomes(401, "/basic")
    answer = await around.becomes(200, "/basic", authorization=basic("ann", "battery"))
    assert got(answer)["x-user"] == "ann"
    for wrong in (basic("joe", "battery"), basic("eve", "x")):
        assert (await around.ask("/basic", authorization=wrong)).status_code == 401
    around.put("users", data("Secret", "users", "stringData", {".htpasswd": "joe:in-clear"}))
    await around.becomes(500, "/basic", authorization=basic("ann", "battery"))
    await until(lambda: "use {SHA}" in around.accepted("basic")[1], 20)
    around.put("users", data("Secret", "users", "stringData", {".htpasswd": htpasswd(joe="new")}))
    await around.becomes(200, "/basic", authorization=basic("joe", "new"))


async def test_api_keys(around: Around) -> None:
    around.put("keys-of-clients", data("Secret", "clients", "stringData", {"mobile": "key-of-mobile", "web": "key-of-web"}))
    places = [{"headers": ["x-api-key"]}, {"params": ["key"]}, {"cookies": ["key"]}]
    policy = {"credentialRefs": [{"name": "clients"}], "extractFrom": places, "forwardClientIDHeader": "x-client", "sanitize": True}
    around.policy("keys", apiKeyAuth=policy)
    await around.becomes(401, "/keys")
    answer = await around.becomes(200, "/keys", x_api_key="key-of-web")
    assert got(answer)["x-client"] == "web"
    assert "x-api-key" not in got(answer)
    assert (await around.ask("/keys?key=key-of-mobile")).status_code == 200
    assert (await around.ask("/keys", cookie="key=key-of-mobile")).status_code == 200
    assert (await around.ask("/keys", x_api_key="guessed")).status_code == 401


async def test_authorization_by_what_a_token_says(around: Around) -> None:
    issuer = Issuer()
    jwt = {"providers": [{"name": "ours", "localJWKS": {"type": "Inline", "inline": issuer.jwks()}}]}
    admin = {"jwt": {"provider": "ours", "claims": [{"name": "user.role", "values": ["admin"]}], "scopes": ["write"]}}
    rules = [
        {"action": "Allow", "principal": admin},
        {"action": "Allow", "cel": "request.method == 'PUT' && request.headers['x-word'].startsWith('b')"},
        {"action": "Allow", "principal": {"headers": [{"name": "x-team", "values": ["a", "b"]}]}, "operation": {"methods": ["GET"]}},
    ]
    around.policy("rules", jwt=jwt, authorization={"defaultAction": "Deny", "rules": rules})
    bearer = {"authorization": f"Bearer {issuer.token(user={'role': 'admin'}, scope='read write')}"}
    await around.becomes(401, "/rules", "POST")
    await around.becomes(200, "/rules", "POST", **bearer)
    other = {"authorization": f"Bearer {issuer.token(user={'role': 'admin'}, scope='read')}"}
    assert (await around.ask("/rules", "POST", **other)).status_code == 403
    assert (await around.ask("/rules", x_team="b", **other)).status_code == 200
    assert (await around.ask("/rules", "POST", x_team="b", **other)).status_code == 403
    assert (await around.ask("/rules", x_team="c", **other)).status_code == 403
    assert (await around.ask("/rules", "PUT", x_word="better", **other)).status_code == 200
    assert (await around.ask("/rules", "PUT", x_word="worse", **other)).status_code == 403


async def test_authorization_by_address(around: Around) -> None:
    outside = {"action": "Allow", "principal": {"clientCIDRs": ["10.0.0.0/8"]}}
    around.policy("address", authorization={"rules": [outside]})
    await around.becomes(403, "/address")
    around.policy("address", authorization={"rules": [outside, {"action": "Allow", "principal": {"clientCIDRs": ["127.0.0.0/8"]}}]})
    await around.becomes(200, "/address")


class Provider:
    """An OpenID provider; `up` says whether it tells of itself."""

    def __init__(self) -> None:
        self.up = False
        self.port = 0
        self.exchanged: list[tuple[str, str]] = []
        """Codes, and as whom they were shown."""

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/token":
            form = await request.post()
            self.exchanged.append((str(form["code"]), request.headers["authorization"]))
            return web.json_response({"access_token": "access", "id_token": "id", "expires_in": 600, "token_type": "bearer"})
        if not self.up:
            return web.Response(status=503)
        found = {"authorization_endpoint": "https://login.example.com/auth", "token_endpoint": f"http://localhost:{self.port}/token"}
        return web.json_response(found)


def cookies(answer: httpx.Response) -> dict[str, str]:
    return dict(each.partition(";")[0].split("=", 1) for each in answer.headers.get_list("set-cookie"))


async def test_a_login_at_a_provider_that_is_discovered(around: Around) -> None:
    provider = Provider()
    async with http_server(provider.answer) as provider.port:
        around.put("client", data("Secret", "client", "stringData", {"client-secret": "word-of-client"}))
        here = f"http://127.0.0.1:{around.p.port}/login"
        issuer = {"issuer": f"http://127.0.0.1:{provider.port}"}
        spec = {"provider": issuer, "clientID": "me", "clientSecret": {"name": "client"}, "redirectURL": f"{here}/callback"}
        around.policy("login", oidc={**spec, "logoutPath": "/login/out"})
        # while nobody knows where to log in nobody comes in
        await around.becomes(500, "/login")
        await until(lambda: "answers 503" in around.accepted("login")[1], 20)
        provider.up = True
        sent = await around.becomes(302, "/login/page")
        await until(lambda: around.accepted("login")[0] == "True", 20)
        to = httpx.URL(sent.headers["location"])
        assert (to.host, to.path, to.params["client_id"], to.params["redirect_uri"]) == (
            "login.example.com",
            "/auth",
            "me",
            f"{here}/callback",
        )
        known = cookies(sent)

        async def back() -> httpx.Response:
            header = "; ".join(f"{k}={v}" for k, v in known.items())
            return await around.ask(f"/login/callback?code=proof&state={to.params['state']}", cookie=header)

        # the cluster of the token endpoint may still be looking up its host
        await until(lambda: _redirects(back), 20)
        answer = await back()
        assert answer.headers["location"] == f"{here}/page"
        assert ("proof", basic("me", "word-of-client")) in provider.exchanged
        known |= cookies(answer)
        assert (await around.ask("/login/page", cookie="; ".join(f"{k}={v}" for k, v in known.items()))).status_code == 200
        provider.up = False
    # what is known stays
    assert (await around.ask("/login/page", cookie="; ".join(f"{k}={v}" for k, v in known.items()))).status_code == 200
    assert (await around.ask("/login/page")).status_code == 302


async def _redirects(ask: Callable[[], Awaitable[httpx.Response]]) -> bool:
    return (await ask()).status_code == 302


async def test_external_authorization_over_http(around: Around) -> None:
    def judge(request: web.Request) -> web.Response:
        known = request.headers.get("x-word") == "please" and request.path == "/judge/asked"
        return web.Response(status=200 if known else 403, headers={"x-judged": request.path, "x-hidden": "1"})

    async with http_server(judge) as port:
        around.p.backend("judge", port)
        http = {"backendRefs": [ref("judge", port=port)], "path": "/judge", "headersToBackend": ["x-judged"]}
        around.policy("asked", extAuth={"headersToExtAuth": ["x-word"], "http": http, "timeout": "5s"})
        await around.becomes(403, "/asked")
        answer = await around.becomes(200, "/asked", x_word="please")
        assert got(answer)["x-judged"] == "/judge/asked"
        assert "x-hidden" not in got(answer)
    # nobody is there to be asked
    await around.becomes(403, "/asked", x_word="please")


async def test_external_authorization_over_grpc(around: Around) -> None:
    async def check(request: bytes, _: Any) -> bytes:
        asked = decode(f"{AUTH}.CheckRequest", request).attributes
        good = dict(asked.context_extensions) == {"word": "secret-of-context"} and asked.request.http.headers.get("x-word") == "please"
        ok = {"headers": [{"header": {"key": "x-judged", "value": "yes"}}]}
        return encode(f"{AUTH}.CheckResponse", {"status": {"code": 0}, "ok_response": ok} if good else {"status": {"code": 7}})

    around.put("told", data("Secret", "told", "stringData", {"word": base64.b64encode(b"secret-of-context").decode()}))
    told = {"name": "word", "type": "ValueRef", "valueRef": {"group": "", "kind": "Secret", "name": "told", "key": "word"}}
    async with grpc_server(f"{AUTH}.Authorization", Check=grpc.unary_unary_rpc_method_handler(check)) as port:
        around.p.backend("grpc-judge", port)
        auth = {"grpc": {"backendRefs": [ref("grpc-judge", port=port)]}, "contextExtensions": [told]}
        around.policy("judged", extAuth=auth)
        await around.becomes(403, "/judged")
        answer = await around.becomes(200, "/judged", x_word="please")
        assert got(answer)["x-judged"] == "yes"
    around.policy("judged", extAuth={**auth, "failOpen": True})
    await around.becomes(200, "/judged")


async def test_a_service_that_does_not_exist_refuses_unless_told_otherwise(around: Around) -> None:
    http = {"backendRefs": [ref("nobody", port=1)]}
    around.policy("lost", extAuth={"http": http})
    await around.becomes(500, "/lost")
    await until(lambda: around.accepted("lost")[0] == "False", 20)
    around.policy("lost", extAuth={"http": http, "failOpen": True})
    await around.becomes(200, "/lost")
    assert around.accepted("lost")[0] == "False"


async def test_external_processing(around: Around) -> None:
    def answered(request: Any) -> bytes:
        side = "request" if request.HasField("request_headers") else "response"
        name = {"request": "x-processed", "response": "x-answer-processed"}[side]
        mutation = {"set_headers": [{"header": {"key": name, "raw_value": b"seen"}}]}
        return encode(f"{PROC}.ProcessingResponse", {f"{side}_headers": {"response": {"header_mutation": mutation}}})

    async def process(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for each in requests:
            yield answered(decode(f"{PROC}.ProcessingRequest", each))

    async with grpc_server(f"{PROC}.ExternalProcessor", Process=grpc.stream_stream_rpc_method_handler(process)) as port:
        around.p.backend("processor", port)
        proc = {"backendRefs": [ref("processor", port=port)], "processingMode": {"request": {}, "response": {}}}
        around.policy("processed", "EnvoyExtensionPolicy", extProc=[proc])

        async def processed() -> bool:
            answer = await around.ask("/processed")
            whole = answer.status_code == 200 and answer.headers.get("x-answer-processed") == "seen"
            return whole and got(answer).get("x-processed") == "seen"

        await until(processed, 20)
        assert "x-answer-processed" not in (await around.ask("/good")).headers
    await around.becomes(500, "/processed")


async def test_lua_where_it_is_allowed(tmp_path: Path) -> None:
    script = "function envoy_on_request(h) h:respond({[':status'] = '418'}, 'tea') end"
    apis = ExtensionApis(enable_backend=True, enable_lua=True)
    async with Pipeline(tmp_path, EnvoyGateway(extension_apis=apis)) as p, new_client() as client:
        around = Around(p, client)
        p.gateway()
        p.backend("headers", 1)
        p.nats.start()
        p.start()
        around.policy("lua", "EnvoyExtensionPolicy", lua=[{"type": "Inline", "inline": script}])
        assert (await around.becomes(418, "/lua")).text == "tea"
        around.policy("lua", "EnvoyExtensionPolicy", lua=[{"type": "Inline", "inline": script.replace("h:respond", "io.popen")}])
        await around.becomes(500, "/lua")
        await until(lambda: "io is nothing" in around.accepted("lua", "EnvoyExtensionPolicy")[1], 20)


async def test_a_wasm_module_from_a_server(around: Around) -> None:
    made = {"/one.wasm": adding("x-wasm", "one"), "/two.wasm": gzip.compress(adding("x-wasm", "two"))}
    asked: list[str] = []

    def module(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=made[request.path]) if request.path in made else web.Response(status=404)

    async with http_server(module) as port:

        def policy(path: str, **more: str) -> None:
            code = {"type": "HTTP", "http": {"url": f"http://127.0.0.1:{port}{path}", **more}}
            around.policy("wasm", "EnvoyExtensionPolicy", wasm=[{"name": "own", "code": code}])

        async def adds(value: str) -> bool:
            answer = await around.ask("/wasm")
            return answer.status_code == 200 and got(answer).get("x-wasm") == value

        policy("/lost.wasm")
        await around.becomes(500, "/wasm")
        await until(lambda: "/lost.wasm answers 404" in around.accepted("wasm", "EnvoyExtensionPolicy")[1], 20)
        policy("/one.wasm", sha256=hashlib.sha256(made["/one.wasm"]).hexdigest())
        await until(lambda: adds("one"), 20)
        await until(lambda: around.accepted("wasm", "EnvoyExtensionPolicy")[0] == "True", 20)
        policy("/two.wasm")
        await until(lambda: adds("two"), 20)
        policy("/one.wasm", sha256="0" * 64)
        await around.becomes(500, "/wasm")
        await until(lambda: "does not match" in around.accepted("wasm", "EnvoyExtensionPolicy")[1], 20)
        assert asked.count("/two.wasm") == 1


async def test_no_secret_of_a_policy_stands_in_clear_on_the_bus(around: Around) -> None:
    words = ("correct horse", "word-of-client", "key-of-mobile", "secret-of-context", htpasswd(joe="new").strip())
    values = [*(await around.p.stream("RESOURCES", "resources.>")).values(), *(await around.p.stream("IR", "ir.>")).values()]
    assert any(b"sealed:" in value for value in values)
    for form in _forms(words):
        assert not [value for value in values if form in value]
        assert all(form.decode() not in around.p.log(name) for name in around.p.processes)


def _forms(words: Iterable[str]) -> Iterable[bytes]:
    for word in words:
        yield word.encode()
        yield base64.b64encode(word.encode())[:-4]
