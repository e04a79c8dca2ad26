"""Whose a service account's token is, by the API server's own word (TokenReview): it knows of pods that are gone before tokens expire."""

from __future__ import annotations

import msgspec

from shared.core.accounts import Account, CannotTell
from shared.kube.client import Kube, NoCluster, Refused, Unreachable

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
QPS, BURST = 200, 1000
"""A server that starts is asked by all proxies at once."""
_PREFIX = "system:serviceaccount:"
_POD = "authentication.kubernetes.io/pod-name"


class _User(msgspec.Struct):
    username: str = ""
    extra: dict[str, tuple[str, ...]] = {}


class _Status(msgspec.Struct):
    authenticated: bool = False
    audiences: tuple[str, ...] = ()
    user: _User = msgspec.field(default_factory=_User)


class _Review(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


class Reviewer:
    """Proves tokens that are made for an audience. Connects with the first of them; close it."""

    def __init__(self, audience: str) -> None:
        self._audience = audience
        self._kube: Kube | None = None

    async def __call__(self, token: str) -> Account | None:
        """Whose the token is; None for one that is nobody's, or not for this audience. Raises CannotTell."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self._audience]},
        }
        try:
            if self._kube is None:
                self._kube = await Kube.connect("xds-server", qps=QPS, burst=BURST)
            answer = await self._kube.request("POST", PATH, body=body)
        except (NoCluster, Refused, Unreachable) as e:
            raise CannotTell(str(e)) from e
        return account(msgspec.json.decode(answer, type=_Review).status, self._audience)

    async def aclose(self) -> None:
        if self._kube is not None:
            await self._kube.close()
            self._kube = None


def account(status: _Status, audience: str) -> Account | None:
    """What an answer says. A server that knows no audiences names none, and its word is not enough."""
    if not status.authenticated or audience not in status.audiences or not status.user.username.startswith(_PREFIX):
        return None
    namespace, _, name = status.user.username.removeprefix(_PREFIX).partition(":")
    return Account(namespace, name, next(iter(status.user.extra.get(_POD, ())), ""))
