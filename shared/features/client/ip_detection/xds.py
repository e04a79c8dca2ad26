"""Client addresses in Envoy: the peer's, or what an original-IP detection extension says."""

from __future__ import annotations

import ipaddress

from shared.features.client.ip_detection.ir import ClientIpDetection, CustomHeader, XForwardedFor
from shared.features.parts.xds_values import Unrenderable, wrapped
from shared.xds.message import Fields, pack

_PACKAGE = "envoy.extensions.http.original_ip_detection"
_FORBIDDEN = 403


def on_hcm(detection: ClientIpDetection | None) -> Fields:
    """Fields of the connection manager."""
    extension = None
    if detection is not None and detection.custom_header is not None:
        extension = _custom(detection.custom_header)
    elif detection is not None and detection.x_forwarded_for is not None:
        extension = _forwarded(detection.x_forwarded_for)
    if extension is None:
        return {"use_remote_address": wrapped(True)}
    return {"use_remote_address": wrapped(False), "original_ip_detection_extensions": [extension]}


def _custom(header: CustomHeader) -> Fields:
    config: Fields = {"header_name": header.name, "allow_extension_to_set_address_as_trusted": True}
    if header.fail_closed:
        config["reject_with_status"] = {"code": _FORBIDDEN}
    return {"name": f"{_PACKAGE}.custom_header", "typed_config": pack(f"{_PACKAGE}.custom_header.v3.CustomHeaderConfig", config)}


def _forwarded(header: XForwardedFor) -> Fields:
    config: Fields = {"skip_xff_append": wrapped(bool(header.disable_x_forwarded_for_append))}
    if header.trusted_cidrs is not None:
        config["xff_trusted_cidrs"] = {"cidrs": [_range(c) for c in header.trusted_cidrs]}
    elif header.num_trusted_hops:
        # the extension counts the hops before the last one
        config["xff_num_trusted_hops"] = header.num_trusted_hops - 1
    return {"name": f"{_PACKAGE}.xff", "typed_config": pack(f"{_PACKAGE}.xff.v3.XffConfig", config)}


def _range(cidr: str) -> Fields:
    try:
        interface = ipaddress.ip_interface(cidr)
    except ValueError as e:
        raise Unrenderable(f"client address detection: {e}") from e
    return {"address_prefix": str(interface.ip), "prefix_len": wrapped(interface.network.prefixlen)}
