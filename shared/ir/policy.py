"""Policies on their way to routes: each is one shard, and routes and listeners name the shards that have a say in them.

So a Gateway's policy that is edited is one message, not one for each of 10,000 routes.
"""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.extension import ExtensionFeatures
from shared.ir.metadata import PolicyMetadata
from shared.ir.security import SecurityFeatures
from shared.ir.traffic import Traffic


class Policies(IR, frozen=True):
    """Keys of policy shards by what they are about, the most specific first."""

    traffic: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    envoy_extensions: tuple[str, ...] = ()


class PolicyShard(IR, frozen=True):
    """`ir.xds.<ns>.<name>.policy.<kind>.<ns>.<policy>`, or `…<policy>.<parent ns>.<parent>` for one merged over another.

    `refuses`: it could not be translated, so the routes that it speaks for answer 500.
    """

    policy: PolicyMetadata
    refuses: bool = False
    traffic: Traffic | None = None
    security: SecurityFeatures | None = None
    envoy_extensions: ExtensionFeatures | None = None
    use_client_protocol: bool | None = None
    route_stat_name: str = ""
