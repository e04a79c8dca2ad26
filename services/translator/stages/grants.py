"""Who may refer across namespaces, and which labels a namespace has."""

from __future__ import annotations

from services.translator.stages.tables import GRANTS, GRANTS_BY_NAMESPACE, NAMESPACES, core_ref
from shared.api.base import LabelSelector
from shared.core.refs import ObjectRef
from shared.incremental import Db

_NAME_LABEL = "kubernetes.io/metadata.name"
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def permitted(db: Db, group: str, kind: str, namespace: str, to: ObjectRef) -> bool:
    """Whether an object of this group and kind in `namespace` may refer to `to`: a ReferenceGrant beside `to` says so."""
    if namespace == to.namespace:
        return True
    for key in db.keys(GRANTS_BY_NAMESPACE, to.namespace):
        grant = db.get(GRANTS, key)
        if grant is None or not any((f.group, f.kind, f.namespace) == (group, kind, namespace) for f in grant.spec.from_):
            continue
        if any((t.group, t.kind) == (to.group, to.kind) and t.name in (None, "", to.name) for t in grant.spec.to):
            return True
    return False


def namespace_labels(db: Db, name: str) -> dict[str, str]:
    """A namespace's labels. One that no object describes (files need not) has only its name."""
    row = db.get(NAMESPACES, core_ref("Namespace", "", name))
    return {_NAME_LABEL: name, **(row.metadata.labels if row is not None else {})}


def selector_fault(selector: LabelSelector) -> str | None:
    """A sentence for a person where the selector is none."""
    for each in selector.match_expressions:
        if each.operator not in _OPERATORS:
            return f"{each.operator!r} is not a valid label selector operator"
        if (each.operator in ("In", "NotIn")) != bool(each.values):
            return f"values of operator {each.operator!r} {'must' if each.operator in ('In', 'NotIn') else 'may not'} be specified"
    return None


def selects(selector: LabelSelector, labels: dict[str, str]) -> bool:
    if any(labels.get(k) != v for k, v in selector.match_labels.items()):
        return False
    for each in selector.match_expressions:
        has = each.key in labels
        inside = has and labels[each.key] in each.values
        if not {"In": inside, "NotIn": not inside, "Exists": has, "DoesNotExist": not has}[each.operator]:
            return False
    return True
