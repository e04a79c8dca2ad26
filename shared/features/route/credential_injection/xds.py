"""Injected credentials in Envoy: a filter for each on the listener, disabled until a route asks for it; the credential comes by SDS."""

from __future__ import annotations

from shared.features.parts.xds_values import config_source
from shared.features.route.credential_injection.ir import CredentialInjection
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.credential_injector"
_GENERIC = "envoy.extensions.http.injected_credentials.generic.v3.Generic"


def filter_name(of: CredentialInjection) -> str:
    return f"{NAME}/{of.name}"


def secret_name(of: CredentialInjection) -> str:
    return f"credential_injector/credential/{of.name}"


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    of = route.credential_injection
    return {filter_name(of): _filter(of) | {"disabled": True}} if of is not None else {}


def on_cluster(of: CredentialInjection) -> list[Fields]:
    """HttpFilters of one backend's cluster, without the one that ends them."""
    return [_filter(of)]


def _filter(of: CredentialInjection) -> Fields:
    generic: Fields = {"credential": {"name": secret_name(of), "sds_config": config_source()}}
    if of.header:
        generic["header"] = of.header
    config: Fields = {"credential": {"name": "envoy.http.injected_credentials.generic", "typed_config": pack(_GENERIC, generic)}}
    if of.overwrite:
        config["overwrite"] = True
    typed = pack("envoy.extensions.filters.http.credential_injector.v3.CredentialInjector", config)
    return {"name": filter_name(of), "typed_config": typed}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: enables the filter."""
    of = route.credential_injection
    return {filter_name(of): pack("envoy.config.route.v3.FilterConfig", {"config": {}})} if of is not None else {}
