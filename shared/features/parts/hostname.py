"""Whether a text is a hostname as the Gateway API means it: an RFC 1123 subdomain, not an IP address."""

from __future__ import annotations

import ipaddress
import re

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_subdomain(text: str) -> bool:
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None


def hostname_fault(hostname: str) -> str | None:
    """A sentence for a person where it is none."""
    if not is_subdomain(hostname):
        return f"hostname {hostname!r} is invalid: it must be a lowercase RFC 1123 subdomain"
    if is_ip(hostname):
        return f"hostname: {hostname!r} cannot be an ip address"
    for label in hostname.split("."):
        if len(label) > 63:
            return f"label: {label!r} in hostname {hostname!r} cannot exceed 63 characters"
    return None
