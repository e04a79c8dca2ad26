"""Host: fleets of proxies as processes of this machine. See docs/adr/0003-envoy-processes-outlive-their-supervisor.md."""

from services.infra_manager.providers.host.pidfiles import stop_left_behind
from services.infra_manager.providers.host.supervisor import HostInfrastructure

__all__ = ["HostInfrastructure", "stop_left_behind"]
