"""A client of one view, for tests of exchanges: what it says, and what it is told, as short texts."""

from __future__ import annotations

from services.xds_server.ads.messages import Request, Response
from services.xds_server.ads.outcomes import Outcome
from services.xds_server.ads.stream import Limits, Stream
from services.xds_server.ads.view import View
from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET
from services.xds_server.resources import Resource, ResourceChanges, TypeChanges

SHORT = {"lds": LISTENER, "rds": ROUTE, "cds": CLUSTER, "eds": ENDPOINT, "sds": SECRET}
LIMITS = Limits(stage=3.0, behind=5.0)


def changes(*texts: str) -> ResourceChanges:
    """`cds a=1`, `cds -a`; `cds a=1>eds:a` names what it needs, `lds a=1@80` its address."""
    out: ResourceChanges = {}
    for text in texts:
        short, *items = text.split()
        change = out.setdefault(SHORT[short], TypeChanges({}, frozenset()))
        for item in items:
            if item.startswith("-"):
                out[SHORT[short]] = change = change._replace(removals=change.removals | {item[1:]})
                continue
            what, _, needs = item.partition(">")
            name, _, content = what.partition("=")
            content, _, place = content.partition("@")
            found = tuple((SHORT[n.split(":")[0]], n.split(":")[1]) for n in needs.split(",") if n)
            change.upserts[name] = Resource(name, content, f"{name}={content}".encode(), found, place)
    return out


class Client:
    """A client of one view: `says` sends, `gets` shows what came as `cds a=1 -b`."""

    def __init__(self, view: View, *, delta: bool = True) -> None:
        self.view = view
        self.stream = Stream(view, delta=delta, limits=LIMITS)
        self.now = 100.0
        self.last: dict[str, Response] = {}

    def subscribes(self, short: str, *names: str, initial: dict[str, str] | None = None) -> None:
        self.stream.on_request(Request(SHORT[short], subscribe=names, initial=tuple((initial or {}).items())))

    def unsubscribes(self, short: str, *names: str) -> None:
        self.stream.on_request(Request(SHORT[short], unsubscribe=names))

    def wants(self, short: str, *names: str, version: str = "") -> None:
        """State of the world: a request with names, acknowledging what came last."""
        last = self.last.get(SHORT[short])
        self.stream.on_request(Request(SHORT[short], nonce=last.nonce if last else "", names=names, version=version))

    def acks(self, *shorts: str) -> list[Outcome]:
        return [o for s in shorts for o in self.stream.on_request(Request(SHORT[s], nonce=self.last[SHORT[s]].nonce))]

    def nacks(self, short: str, detail: str = "no") -> list[Outcome]:
        return self.stream.on_request(Request(SHORT[short], nonce=self.last[SHORT[short]].nonce, error=detail))

    def gets(self) -> list[str]:
        out = []
        for response in self.stream.poll(self.now):
            self.last[response.type_url] = response
            short = next(k for k, v in SHORT.items() if v == response.type_url)
            items = [f"{r.name}={r.version.rpartition('-')[2]}" for r in response.resources]
            out.append(" ".join([short, *items, *(f"-{n}" for n in response.removed)]))
        return out

    def gets_and_acks(self) -> list[str]:
        """All that comes until nothing comes any more, everything acknowledged at once."""
        out: list[str] = []
        while got := self.gets():
            out += got
            self.acks(*(g.split()[0] for g in got))
        return out


def view(*texts: str, version: int = 1) -> View:
    made = View()
    made.apply(version, "t", changes(*texts))
    return made
