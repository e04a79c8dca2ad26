"""External processing: who processes, and what of a request and its response goes there."""

from __future__ import annotations

from shared.core import durations
from shared.core.refs import ObjectRef
from shared.features.extension.ext_proc.ir import ExtProc
from shared.features.extension.ext_proc.spec import ExtProcSpec, MetadataSpec, ProcessingModeSpec, ProcessingSideSpec
from shared.features.parts import backend_settings
from shared.features.parts.policy_lookup import Fault, Lookup, config_name, duration, service_name

_LONGEST = "1h"
"""Envoy takes no more for one message."""


def translate(spec: ExtProcSpec, index: int, owner: ObjectRef, lookup: Lookup) -> ExtProc:
    """`index` is its place in the policy, which names it. Raises Fault."""
    # the deprecated backendRef counts for nothing here
    if not spec.backend_refs:
        raise Fault("no backendRefs found for external service")
    first = spec.backend_refs[0]
    at = f"{first.name}.{first.namespace or owner.namespace}"
    mode = spec.processing_mode or ProcessingModeSpec()
    request, response = mode.request or ProcessingSideSpec(), mode.response or ProcessingSideSpec()
    metadata = spec.metadata or MetadataSpec()
    return ExtProc(
        name=f"{config_name(owner)}/extproc/{index}",
        destination=lookup.destination(owner, service_name(owner, "extproc", index), spec.backend_refs, "GRPC"),
        authority=f"{at}:{first.port}" if first.port is not None else at,
        message_timeout=_timeout(spec.message_timeout),
        shadow_mode=spec.shadow_mode,
        fail_open=spec.fail_open,
        status_on_error=spec.status_on_error,
        request_header_processing=mode.request is not None,
        request_body_processing_mode=request.body,
        request_attributes=request.attributes,
        response_header_processing=mode.response is not None,
        response_body_processing_mode=response.body,
        response_attributes=response.attributes,
        forwarding_metadata_namespaces=metadata.accessible_namespaces,
        receiving_metadata_namespaces=metadata.writable_namespaces,
        allow_mode_override=mode.allow_mode_override,
        traffic=backend_settings.translate(spec.backend_settings),
    )


def _timeout(text: str | None) -> str | None:
    length = duration("messageTimeout", text)
    if length is not None and durations.parse(length) > durations.parse(_LONGEST):
        raise Fault(f"invalid messageTimeout value {text}: more than {_LONGEST}")
    return length
