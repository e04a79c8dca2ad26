"""Fields of Envoy 1.40's API that xds-protos 1.85 does not know: name, number and type, as Envoy's .proto files declare them."""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto


class Additions(NamedTuple):
    """New fields by full message name, whole new messages of the file, and the .proto files that their types come from."""

    fields: dict[str, tuple[FieldDescriptorProto, ...]]
    messages: tuple[DescriptorProto, ...] = ()
    imports: tuple[str, ...] = ()


def field(name: str, number: int, kind: str, *, repeated: bool = False) -> FieldDescriptorProto:
    """`kind` is a scalar's name (`bool`, `uint32` …) or a message's full name with a leading dot."""
    label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    made = FieldDescriptorProto(name=name, number=number, label=label)
    if kind.startswith("."):
        made.type = FieldDescriptorProto.TYPE_MESSAGE
        made.type_name = kind
    else:
        made.type = FieldDescriptorProto.Type.Value("TYPE_" + kind.upper())
    return made


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
        fields={"envoy.config.route.v3.RouteMatch": (field("cookies", 17, ".envoy.config.route.v3.CookieMatcher", repeated=True),)},
        messages=(
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

NEW_FILES: dict[str, FileDescriptorProto] = {}
