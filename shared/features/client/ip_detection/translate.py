"""Who the client is: taken over as written, networks checked."""

from __future__ import annotations

import ipaddress

from shared.features.client.ip_detection.ir import ClientIpDetection, CustomHeader, DirectSourceIp, XForwardedFor
from shared.features.client.ip_detection.spec import ClientIpDetectionSpec, XForwardedForSpec
from shared.features.parts.faults import Faults


def translate(spec: ClientIpDetectionSpec | None, faults: Faults) -> ClientIpDetection | None:
    if spec is None:
        return None
    custom = spec.custom_header
    return ClientIpDetection(
        x_forwarded_for=_forwarded(spec.x_forwarded_for, faults.inside("ClientIPDetection")) if spec.x_forwarded_for is not None else None,
        custom_header=CustomHeader(name=custom.name, fail_closed=custom.fail_closed) if custom is not None else None,
        direct_source_ip=DirectSourceIp() if spec.direct_source_ip is not None else None,
    )


def _forwarded(spec: XForwardedForSpec, faults: Faults) -> XForwardedFor:
    for cidr in spec.trusted_cidrs or ():
        try:
            ipaddress.ip_interface(cidr)
        except ValueError:
            faults.add(f"invalid trustedCIDRs value {cidr}")
    return XForwardedFor(
        num_trusted_hops=spec.num_trusted_hops,
        trusted_cidrs=spec.trusted_cidrs,
        disable_x_forwarded_for_append=spec.disable_x_forwarded_for_append,
    )
