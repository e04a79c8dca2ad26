"""A policy as it takes effect: with its own spec or merged over its parent's, and what that comes to at a Gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from services.translator.stages.policies.built import Built, Effective
from services.translator.stages.policies.kinds import FOR_ROUTES, KINDS, Kind
from services.translator.stages.tables import POLICIES
from shared.core.merging import merged
from shared.core.refs import ObjectRef
from shared.incremental import CycleError, Db, Pending, query
from shared.ir.metadata import PolicyMetadata
from shared.ir.policy import PolicyShard
from shared.ir.shards import policy_key


class Laid(NamedTuple):
    """A policy, alone or laid over a parent's."""

    policy: ObjectRef
    over: ObjectRef | None = None

    @property
    def key(self) -> str:
        """Of its shard."""
        return policy_key(self.policy, self.over)


def effective(db: Db, laid: Laid) -> Effective[Any]:
    """Raises msgspec.ValidationError where the merger of two specs is none."""
    row = db.get(POLICIES, laid.policy)
    assert row is not None, "a policy that holds a scope exists"
    own = row.spec
    above = db.get(POLICIES, laid.over) if laid.over is not None else None
    if above is None:
        return Effective(laid.policy, own, own)
    lists = KINDS[laid.policy.kind].lists if own.merge_type == "StrategicMerge" else None
    together = msgspec.convert(merged(above.written, row.written, lists), type(own))
    return Effective(laid.policy, together, own, laid.over, above.spec)


@query
def built(db: Db, laid: Laid, gateway: ObjectRef) -> Built[Any]:
    """What a policy comes to at one Gateway. Raises Pending while something is unknown."""
    build = FOR_ROUTES[laid.policy.kind].build
    assert build is not None
    return attempt(lambda: build(db, effective(db, laid), gateway))


def attempt(work: Callable[[], Built[Any]]) -> Built[Any]:
    """What a policy comes to; where its translation crashes, that is its problem. Raises Pending while something is unknown."""
    try:
        return work()
    except (Pending, CycleError):
        raise
    except msgspec.ValidationError as e:
        return Built(None, (f"error merging policies: {e}",))
    except Exception as e:
        return Built(None, (f"translation failed: {type(e).__name__}: {e}",))


def shard(db: Db, laid: Laid, gateway: ObjectRef) -> PolicyShard:
    """What of a policy crosses the bus for one Gateway."""
    made = built(db, laid, gateway)
    kind = KINDS[laid.policy.kind]
    about = PolicyMetadata(kind=laid.policy.kind, name=laid.policy.name, namespace=laid.policy.namespace)
    refuses = bool(made.problems) and made.failing == "refused"
    if made.ir is None or (refuses and not kind.kept_when_refused):
        return PolicyShard(policy=about, refuses=True)
    return PolicyShard(policy=about, refuses=refuses, **{kind.field: made.ir}, **_aside(db, laid, kind))


def _aside(db: Db, laid: Laid, kind: Kind) -> dict[str, Any]:
    """What of a spec does not stand in the IR of the policy, but beside it on the routes."""
    spec = effective(db, laid).spec
    return {field: value for field, read in kind.aside.items() if (value := read(spec)) is not None}
