"""Who may say and hear what on the bus: the pipeline's table as data, and what it means as permissions of nats-server.

Each service proves itself with a certificate of its own (its DNS name is the user's name), and NATS holds it to its row: no service can
write what another one owns. Reading is as fine as JetStream allows it: by stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shared.bus.wire import IR, LEASES, MODULES, STREAMS, stream_of


class Row(NamedTuple):
    """Subjects with wildcards. `leases`: keys in the bucket of leases. `purges`: streams whose old values this one may remove."""

    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    leases: tuple[str, ...] = ()
    purges: tuple[str, ...] = ()

    @property
    def streams(self) -> tuple[str, ...]:
        """Those that hold what is read or written, in their usual order."""
        own = {stream_of(s).name for s in (*self.reads, *self.writes)} | ({LEASES.name} if self.leases else set())
        return tuple(s.name for s in STREAMS if s.name in own)


OBJECT_STATUS = "status.*.*.*.*.*"
"""One Gateway's part of an object's status; the other subjects below `status` have fewer tokens."""

TABLE: Mapping[str, Row] = {
    "resource-watcher": Row(
        reads=("wants.>", "status.>"),
        writes=("resources.>", "facts.>", "status.provider.>", *MODULES.subjects),
        leases=("resource-watcher",),
        purges=(MODULES.name,),
    ),
    "translator": Row(
        reads=("resources.>", "facts.>", "status.>"),
        writes=("ir.xds.>", "ir.infra.>", "wants.>", OBJECT_STATUS),
        leases=("translator-0",),
        purges=(IR.name,),
    ),
    "xds-server": Row(reads=("ir.xds.>", "hooks.>", *MODULES.subjects), writes=("status.xds.>", "hooks.>"), leases=("extensions.>",)),
    "infra-manager": Row(reads=("ir.infra.>",), writes=("status.infra.>",), leases=("infra-manager",)),
    # `headgate status`, `tap`, `history`, `diff`: looks at everything, changes nothing
    "cli": Row(reads=tuple(subject for stream in STREAMS for subject in stream.subjects)),
}


class Permissions(NamedTuple):
    """Subjects that a user of nats-server may publish to and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox(service: str) -> str:
    """Below this a service gets its answers; nobody else may listen there."""
    return f"_INBOX.{service}"


def permissions(service: str, row: Row) -> Permissions:
    """What JetStream asks of a client that reads and writes as `row` says.

    Every service may make a stream that is missing: whichever comes first after a NATS came back empty.
    """
    api = [f"$JS.API.STREAM.{verb}.{s.name}" for s in STREAMS for verb in ("INFO", "CREATE", "UPDATE")]
    for stream in row.streams:
        api += [f"$JS.API.CONSUMER.{verb}.{stream}.>" for verb in ("CREATE", "DELETE")]
        api += [f"$JS.API.DIRECT.GET.{stream}", f"$JS.FC.{stream}.>"]
        if stream == MODULES.name:  # as NATS' clients read an object store
            api += [f"$JS.API.STREAM.MSG.GET.{stream}", "$JS.API.STREAM.NAMES", f"$JS.API.CONSUMER.CREATE.{stream}"]
    api += [f"$JS.API.STREAM.PURGE.{stream}" for stream in row.purges]
    leases = [LEASES.subjects[0].replace(">", key) for key in row.leases]
    # a writer listens to its own subjects, too: what somebody else writes there is put right
    return Permissions((*row.writes, *leases, *api), (*row.reads, *row.writes, *leases, inbox(service) + ".>"))


def users(table: Mapping[str, Row] = TABLE) -> str:
    """The `authorization` section of a nats-server configuration that maps certificates to users (`verify_and_map`)."""
    blocks = []
    for service, row in table.items():
        allowed = permissions(service, row)
        blocks.append(
            f"    {{\n      user: {json.dumps(service)}\n      permissions: {{\n"
            f"        publish: {{ allow: [\n{_lines(allowed.publish)}        ] }}\n"
            f"        subscribe: {{ allow: [\n{_lines(allowed.subscribe)}        ] }}\n      }}\n    }}\n"
        )
    return "authorization {\n  users: [\n" + "".join(blocks) + "  ]\n}\n"


def _lines(subjects: Iterable[str]) -> str:
    return "".join(f"          {json.dumps(s)}\n" for s in dict.fromkeys(subjects))
