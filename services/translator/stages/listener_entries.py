"""One listener's part of a status, be it a Gateway's or a ListenerSet's."""

from __future__ import annotations

from typing import Any

from services.translator.stages.conditions import Conditions, plain
from services.translator.stages.judged import Judged
from services.translator.stages.routes import ATTACHED_ROUTES
from shared.incremental import Db, Pending


def condition(each: Judged, kind: str) -> str | None:
    """The status of one of a listener's conditions."""
    return next((c.status for c in each.conditions if c.type == kind), None)


def entry(db: Db, each: Judged, generation: int) -> dict[str, Any]:
    """Raises Pending while its certificates are unknown, but not for too long."""
    waiting = each.certificates.pending
    conditions = Conditions(generation, each.conditions)
    if waiting is not None:
        if not each.certificates.late:
            raise Pending("secrets", waiting)
        text = f"Secret {waiting.namespace}/{waiting.name} is not known yet"
        conditions.set("ResolvedRefs", False, "InvalidCertificateRef", text)
        conditions.set("Programmed", False, "Pending", text)
    return {
        "name": each.spec.name,
        "attachedRoutes": db.fold(ATTACHED_ROUTES, (each.gateway, each.key)),
        "supportedKinds": [{"group": k.group, "kind": k.kind} if k.group is not None else {"kind": k.kind} for k in each.supported_kinds],
        "conditions": plain(conditions.all()),
    }
