"""The extension servers' messages, for the pool: the same as shared/extension/extension.proto says (a test compares them)."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from shared.xds.descriptors import field

PACKAGE = "envoygateway.extension"
PATH = "envoygateway/extension/extension.proto"
_OBJECTS = f".{PACKAGE}.ExtensionResource"
_CLUSTER, _ENDPOINTS = ".envoy.config.cluster.v3.Cluster", ".envoy.config.endpoint.v3.ClusterLoadAssignment"
_LISTENER, _ROUTE = ".envoy.config.listener.v3.Listener", ".envoy.config.route.v3.Route"
_HOST, _ROUTES = ".envoy.config.route.v3.VirtualHost", ".envoy.config.route.v3.RouteConfiguration"
_SECRET = ".envoy.extensions.transport_sockets.tls.v3.Secret"


def _about(name: str, kind: str, context: str, what: str) -> dict[str, tuple[FieldDescriptorProto, ...]]:
    """Request and answer of a hook about one resource."""
    return {
        f"Post{what}ModifyRequest": (field(name, 1, kind), field(context, 2, f".{PACKAGE}.Post{what}ExtensionContext")),
        f"Post{what}ModifyResponse": (field(name, 1, kind),),
    }


MESSAGES: dict[str, tuple[FieldDescriptorProto, ...]] = {
    "ExtensionResource": (field("unstructured_bytes", 1, "bytes"),),
    "PostRouteExtensionContext": (
        field("extension_resources", 1, _OBJECTS, repeated=True),
        field("hostnames", 2, "string", repeated=True),
        field("extension_policies", 3, _OBJECTS, repeated=True),
    ),
    "PostVirtualHostExtensionContext": (),
    "PostHTTPListenerExtensionContext": (field("extension_resources", 1, _OBJECTS, repeated=True),),
    "PostClusterExtensionContext": (field("backend_extension_resources", 1, _OBJECTS, repeated=True),),
    "PostEndpointsExtensionContext": (),
    "PostTranslateExtensionContext": (field("extension_resources", 1, _OBJECTS, repeated=True),),
    **_about("route", _ROUTE, "post_route_context", "Route"),
    **_about("virtual_host", _HOST, "post_virtual_host_context", "VirtualHost"),
    **_about("listener", _LISTENER, "post_listener_context", "HTTPListener"),
    **_about("cluster", _CLUSTER, "post_cluster_context", "Cluster"),
    **_about("load_assignment", _ENDPOINTS, "post_endpoints_context", "Endpoints"),
    "PostTranslateModifyRequest": (
        field("post_translate_context", 1, f".{PACKAGE}.PostTranslateExtensionContext"),
        field("clusters", 2, _CLUSTER, repeated=True),
        field("secrets", 3, _SECRET, repeated=True),
        field("listeners", 4, _LISTENER, repeated=True),
        field("routes", 5, _ROUTES, repeated=True),
    ),
    "PostTranslateModifyResponse": (
        field("clusters", 1, _CLUSTER, repeated=True),
        field("secrets", 2, _SECRET, repeated=True),
        field("listeners", 3, _LISTENER, repeated=True),
        field("routes", 4, _ROUTES, repeated=True),
    ),
}
FILE = FileDescriptorProto(
    name=PATH,
    package=PACKAGE,
    syntax="proto3",
    dependency=[
        "envoy/config/cluster/v3/cluster.proto",
        "envoy/config/endpoint/v3/endpoint.proto",
        "envoy/config/listener/v3/listener.proto",
        "envoy/config/route/v3/route.proto",
        "envoy/config/route/v3/route_components.proto",
        "envoy/extensions/transport_sockets/tls/v3/secret.proto",
    ],
    message_type=[DescriptorProto(name=name, field=fields) for name, fields in MESSAGES.items()],
)
