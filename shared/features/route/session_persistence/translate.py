"""Session persistence: a cookie or a header that ties a client to a backend; Envoy needs a name where the API does not."""

from __future__ import annotations

from shared.core import durations
from shared.features.parts.problem import Problem, not_accepted
from shared.features.route.session_persistence.spec import SessionPersistenceSpec
from shared.ir.http import SessionCookie, SessionHeader, SessionPersistence


def session(spec: SessionPersistenceSpec | None, rule_name: str) -> tuple[SessionPersistence | None, Problem | None]:
    """`rule_name` is unique to the rule: the name of a session that has none."""
    if spec is None:
        return None, None
    name = spec.session_name if spec.session_name is not None else rule_name.replace("/", "-")
    if spec.type == "Header":
        return SessionPersistence(header=SessionHeader(name=name)), None
    if spec.type != "Cookie":
        return None, not_accepted(f"unknown session persistence type {spec.type}")
    ttl = None
    if spec.absolute_timeout is not None and spec.cookie_config is not None and spec.cookie_config.lifetime_type == "Permanent":
        try:
            ttl = durations.normal(spec.absolute_timeout)
        except ValueError as e:
            return None, not_accepted(str(e))
    return SessionPersistence(cookie=SessionCookie(name=name, ttl=ttl)), None
