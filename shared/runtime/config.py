"""Envoy Gateway's static configuration file, field by field, plus Headgate's `bus`.

Field names and meaning: gateway.envoyproxy.io/v1alpha1 EnvoyGateway, v1.9. Parts that only other stages understand (Kubernetes
object specs, an EnvoyProxy spec) are kept as plain data and judged there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from shared.bus.settings import BusSettings
from shared.core.kinds import KindInfo
from shared.runtime import extensions
from shared.runtime.extensions import ExtensionManager
from shared.runtime.part import Part

API_VERSION: Final = "gateway.envoyproxy.io/v1alpha1"
CONTROLLER_NAME = "gateway.envoyproxy.io/gatewayclass-controller"

Level = Literal["debug", "info", "warn", "error"]


class GatewaySection(Part, frozen=True):
    controller_name: str = CONTROLLER_NAME


class FileResource(Part, frozen=True):
    paths: tuple[str, ...]


class NamespaceSelector(Part, frozen=True):
    match_labels: dict[str, str] = msgspec.field(default_factory=dict)
    match_expressions: tuple[dict[str, Any], ...] = ()


class Watch(Part, frozen=True):
    type: Literal["Namespaces", "NamespaceSelector"]
    namespaces: tuple[str, ...] = ()
    namespace_selector: NamespaceSelector | None = None


class LeaderElection(Part, frozen=True):
    lease_duration: str | None = None
    renew_deadline: str | None = None
    retry_period: str | None = None
    disable: bool = False


class ClientRateLimit(Part, frozen=True):
    qps: int | None = None
    burst: int | None = None


class KubernetesClient(Part, frozen=True):
    rate_limit: ClientRateLimit | None = None


class DeployMode(Part, frozen=True):
    type: Literal["ControllerNamespace", "GatewayNamespace"] = "ControllerNamespace"


class ShutdownManager(Part, frozen=True):
    image: str | None = None


class TopologyInjector(Part, frozen=True):
    disabled: bool = False


class KubernetesResource(Part, frozen=True):
    watch: Watch | None = None
    leader_election: LeaderElection | None = None
    client: KubernetesClient | None = None
    cache_sync_period: str | None = None


class KubernetesProvider(KubernetesResource, frozen=True):
    rate_limit_deployment: dict[str, Any] | None = None
    rate_limit_hpa: dict[str, Any] | None = None
    rate_limit_pdb: dict[str, Any] | None = msgspec.field(default=None, name="rateLimitPDB")
    deploy: DeployMode | None = None
    shutdown_manager: ShutdownManager | None = None
    proxy_topology_injector: TopologyInjector | None = None


class ResourceProvider(Part, frozen=True):
    type: Literal["File", "Kubernetes"]
    file: FileResource | None = None
    kubernetes: KubernetesResource | None = None


class HostInfrastructure(Part, frozen=True):
    """Folders: certificates under config_home, what runs under state_home."""

    config_home: str | None = None
    data_home: str | None = None
    state_home: str | None = None
    runtime_dir: str | None = None


class InfrastructureProvider(Part, frozen=True):
    """`type` is the name of an entry point in the group `headgate.infrastructure`."""

    type: str
    host: HostInfrastructure | None = None
    remote: dict[str, Any] | None = None


class CustomProvider(Part, frozen=True):
    resource: ResourceProvider
    infrastructure: InfrastructureProvider | None = None


class Provider(Part, frozen=True):
    type: Literal["Kubernetes", "Custom"]
    kubernetes: KubernetesProvider | None = None
    custom: CustomProvider | None = None

    @property
    def cluster(self) -> KubernetesResource:
        """What is said of the cluster that objects come from."""
        if self.custom is not None and self.custom.resource.kubernetes is not None:
            return self.custom.resource.kubernetes
        return self.kubernetes or KubernetesResource()

    @property
    def request_rate(self) -> ClientRateLimit:
        """How fast an API server is asked."""
        return (self.cluster.client or KubernetesClient()).rate_limit or ClientRateLimit()


class Logging(Part, frozen=True):
    """Levels by component: `default`, or one of Envoy Gateway's (provider, gateway-api, xds-server, infrastructure …)."""

    level: dict[str, Level] = msgspec.field(default_factory=dict)
    encoder: Literal["Text", "JSON"] | None = None


class AdminAddress(Part, frozen=True):
    host: str = "127.0.0.1"
    port: int = 19000


class Admin(Part, frozen=True):
    address: AdminAddress = AdminAddress()
    enable_dump_config: bool = False
    enable_pprof: bool = False


class Prometheus(Part, frozen=True):
    disable: bool = False


class MetricsSection(Part, frozen=True):
    prometheus: Prometheus = Prometheus()
    sinks: tuple[dict[str, Any], ...] = ()


class TelemetrySection(Part, frozen=True):
    metrics: MetricsSection = MetricsSection()
    traces: dict[str, Any] | None = None


class XdsServerSection(Part, frozen=True):
    """Ages are Go durations; sizes Kubernetes quantities."""

    max_connection_age: str | None = None
    max_connection_age_grace: str | None = None
    max_receive_message_size: str | None = None


class RateLimitSection(Part, frozen=True):
    """Global rate limits are on where this stands. `backend` and `telemetry` are for whoever runs the service that counts.

    `timeout` is a Go duration. Headgate's own: `url` is where a service answers that Headgate does not run (grpc:// in plain,
    grpcs:// with the control plane's certificates), `config_port` where xds_server tells it what to count.
    """

    backend: dict[str, Any] | None = None
    timeout: str | None = None
    fail_closed: bool = False
    telemetry: dict[str, Any] | None = None
    url: str | None = None
    config_port: int = 18001


class ExtensionApis(Part, frozen=True):
    enable_envoy_patch_policy: bool = False
    enable_backend: bool = False
    disable_lua: bool | None = None
    enable_lua: bool = False
    enable_sds_secret_ref: bool = msgspec.field(default=False, name="enableSDSSecretRef")

    @property
    def lua_disabled(self) -> bool:
        """Lua scripts have to be allowed; `disable_lua` is what `enable_lua` replaces."""
        return not self.enable_lua and self.disable_lua is not False


class GatewayApi(Part, frozen=True):
    enabled: tuple[str, ...] = ()


class RuntimeFlags(Part, frozen=True):
    enabled: tuple[Literal["XDSNameSchemeV2", "EndpointSliceIndex", "PerResourceSystemCASecret"], ...] = ()
    disabled: tuple[Literal["XDSNameSchemeV2", "EndpointSliceIndex", "PerResourceSystemCASecret"], ...] = ()

    def has(self, flag: str) -> bool:
        """Whether it is switched on; what is switched off as well stays off."""
        return flag in self.enabled and flag not in self.disabled


class EnvoyGateway(Part, frozen=True):
    """The whole file. Absent sections mean Envoy Gateway's defaults."""

    api_version: Literal["gateway.envoyproxy.io/v1alpha1"] = API_VERSION
    kind: Literal["EnvoyGateway"] = "EnvoyGateway"
    metadata: dict[str, Any] | None = None
    gateway: GatewaySection = GatewaySection()
    provider: Provider = Provider(type="Kubernetes")
    logging: Logging = Logging()
    admin: Admin = Admin()
    telemetry: TelemetrySection = TelemetrySection()
    xds_server: XdsServerSection = XdsServerSection()
    rate_limit: RateLimitSection | None = None
    extension_manager: ExtensionManager | None = None
    extension_managers: tuple[ExtensionManager, ...] | None = None
    extension_apis: ExtensionApis = ExtensionApis()
    gateway_api: GatewayApi = msgspec.field(default=GatewayApi(), name="gatewayAPI")
    runtime_flags: RuntimeFlags = RuntimeFlags()
    envoy_proxy: dict[str, Any] | None = None
    bus: BusSettings = BusSettings()

    @property
    def managers(self) -> tuple[ExtensionManager, ...]:
        """All extension servers, in the order in which they are asked."""
        return extensions.managers(self.extension_manager, self.extension_managers or ())

    @property
    def kinds(self) -> Mapping[tuple[str, str], KindInfo]:
        """All kinds that a provider has to find, by group and kind."""
        return extensions.known_kinds(self.managers)
