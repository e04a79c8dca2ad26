"""Fields of Envoy 1.40's API that xds-protos 1.85 does not know: name, number and type, as Envoy's .proto files declare them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto

from shared.xds import extension_protocol
from shared.xds.descriptors import enum, field


class Additions(NamedTuple):
    """New fields by full message name, whole new messages of the file, the .proto files that their types come from, and enums by
    the full name of the message that they stand in."""

    fields: dict[str, tuple[FieldDescriptorProto, ...]]
    messages: tuple[DescriptorProto, ...] = ()
    imports: tuple[str, ...] = ()
    enums: Mapping[str, EnumDescriptorProto] = MappingProxyType({})


_OAUTH = "envoy.extensions.filters.http.oauth2.v3"
_LB = "envoy/extensions/load_balancing_policies"

MISSING: dict[str, Additions] = {
    f"{_LB}/common/v3/common.proto": Additions(
        fields={},
        messages=(
            DescriptorProto(
                name="OrcaOobReportingConfig",
                field=[field("port_value", 1, "uint32"), field("authority", 2, "string")],
            ),
        ),
    ),
    f"{_LB}/client_side_weighted_round_robin/v3/client_side_weighted_round_robin.proto": Additions(
        fields={
            "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin": (
                field("oob_reporting_config", 9, ".envoy.extensions.load_balancing_policies.common.v3.OrcaOobReportingConfig"),
            )
        },
        imports=(f"{_LB}/common/v3/common.proto",),
    ),
    "envoy/config/route/v3/route_components.proto": Additions(
        fields={
            "envoy.config.route.v3.RouteMatch": (field("cookies", 17, ".envoy.config.route.v3.CookieMatcher", repeated=True),),
            "envoy.config.route.v3.RateLimit": (field("x_ratelimit_option", 7, "enum .envoy.config.route.v3.RateLimit.XRateLimitOption"),),
            "envoy.config.route.v3.RateLimit.Action": (
                field("remote_address_match", 13, ".envoy.config.route.v3.RemoteAddressMatch", oneof=0),
            ),
        },
        enums={"envoy.config.route.v3.RateLimit": enum("XRateLimitOption", "UNSPECIFIED", "OFF", "DRAFT_VERSION_03")},
        imports=("envoy/type/matcher/v3/address.proto",),
        messages=(
            DescriptorProto(
                name="RemoteAddressMatch",
                field=[
                    field("descriptor_value", 1, "string"),
                    field("descriptor_key", 2, "string"),
                    field("default_value", 3, "string"),
                    field("address_matcher", 4, ".envoy.type.matcher.v3.AddressMatcher"),
                ],
            ),
            DescriptorProto(
                name="CookieMatcher",
                field=[
                    field("name", 1, "string"),
                    field("string_match", 2, ".envoy.type.matcher.v3.StringMatcher"),
                    field("invert_match", 3, "bool"),
                ],
            ),
        ),
    ),
    "envoy/type/matcher/v3/address.proto": Additions(
        fields={"envoy.type.matcher.v3.AddressMatcher": (field("invert_match", 2, "bool"),)},
    ),
    "envoy/type/matcher/v3/status_code_input.proto": Additions(
        fields={}, messages=(DescriptorProto(name="HttpResponseLocalReplyMatchInput"),)
    ),
    "envoy/extensions/common/ratelimit/v3/ratelimit.proto": Additions(
        fields={"envoy.extensions.common.ratelimit.v3.LocalRateLimitDescriptor": (field("shadow_mode", 3, "bool"),)},
    ),
    "envoy/extensions/filters/http/ext_authz/v3/ext_authz.proto": Additions(
        fields={"envoy.extensions.filters.http.ext_authz.v3.HttpService": (field("path_override", 10, "string"),)},
    ),
    "envoy/extensions/filters/http/oauth2/v3/oauth.proto": Additions(
        fields={f"{_OAUTH}.OAuth2Config": (field("forward_id_token", 31, f".{_OAUTH}.OAuth2TokenForwarding"),)},
        messages=(
            DescriptorProto(name="OAuth2TokenForwarding", field=[field("header", 1, "string")]),
            DescriptorProto(name="OAuth2PerRoute", field=[field("config", 1, f".{_OAUTH}.OAuth2Config")]),
        ),
    ),
    "envoy/extensions/dynamic_modules/v3/dynamic_modules.proto": Additions(
        fields={
            "envoy.extensions.dynamic_modules.v3.DynamicModuleConfig": (field("module", 6, ".envoy.config.core.v3.AsyncDataSource"),),
        },
        imports=("envoy/config/core/v3/base.proto",),
    ),
}

_RATE_LIMIT = ".ratelimit.config.ratelimit.v3"

NEW_FILES: dict[str, FileDescriptorProto] = {
    extension_protocol.PATH: extension_protocol.FILE,
    # the rate limit service's own, which no Python package has
    "ratelimit/config/ratelimit/v3/rls_conf.proto": FileDescriptorProto(
        name="ratelimit/config/ratelimit/v3/rls_conf.proto",
        package=_RATE_LIMIT.removeprefix("."),
        syntax="proto3",
        enum_type=[enum("RateLimitUnit", "UNKNOWN", "SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "YEAR", "WEEK")],
        message_type=[
            DescriptorProto(
                name="RateLimitConfig",
                field=[
                    field("name", 1, "string"),
                    field("domain", 2, "string"),
                    field("descriptors", 3, f"{_RATE_LIMIT}.RateLimitDescriptor", repeated=True),
                ],
            ),
            DescriptorProto(
                name="RateLimitDescriptor",
                field=[
                    field("key", 1, "string"),
                    field("value", 2, "string"),
                    field("rate_limit", 3, f"{_RATE_LIMIT}.RateLimitPolicy"),
                    field("descriptors", 4, f"{_RATE_LIMIT}.RateLimitDescriptor", repeated=True),
                    field("shadow_mode", 5, "bool"),
                    field("detailed_metric", 6, "bool"),
                    field("quota_mode", 7, "bool"),
                ],
            ),
            DescriptorProto(
                name="RateLimitPolicy",
                field=[
                    field("unit", 1, f"enum {_RATE_LIMIT}.RateLimitUnit"),
                    field("requests_per_unit", 2, "uint32"),
                    field("unlimited", 3, "bool"),
                    field("name", 4, "string"),
                    field("replaces", 5, f"{_RATE_LIMIT}.RateLimitReplace", repeated=True),
                ],
            ),
            DescriptorProto(name="RateLimitReplace", field=[field("name", 1, "string")]),
        ],
    ),
}
