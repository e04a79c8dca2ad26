"""A fleet's plan: all its manifests, from the IR and the installation's options."""

from __future__ import annotations

import json

from services.infra_manager.providers.kubernetes.render.kinds import CONFIG_MAP, SERVICE_ACCOUNT
from services.infra_manager.providers.kubernetes.render.naming import Fleet
from services.infra_manager.providers.kubernetes.render.options import KubeOptions
from services.infra_manager.providers.kubernetes.render.plan import Manifest, Plan, manifest
from services.infra_manager.providers.kubernetes.render.pod import AUTHORITY, TOKEN_PATH
from services.infra_manager.providers.kubernetes.render.service import ports, service
from services.infra_manager.providers.kubernetes.render.workload import scaling, workloads
from shared.bootstrap.default import TOKEN_FILE, sds_files, token_sds_file
from shared.ir.infra import Infra


def render(infra: Infra, options: KubeOptions) -> Plan | None:
    """None where the Gateway is to run nothing; CannotRender."""
    if infra.proxy is None:
        return None
    fleet = Fleet(infra.proxy, options)
    plan = Plan(
        namespace=fleet.namespace,
        labels=tuple(sorted(fleet.selector.items())),
        owner=fleet.owner,
        addresses=infra.proxy.addresses,
        guarded=fleet.by_namespace,
    )
    if not ports(fleet):
        # a Service needs ports; what is there stays until there are some again
        return plan._replace(keep=True)
    manifests = (_service_account(fleet), _config_map(fleet), *workloads(fleet), service(fleet), *scaling(fleet))
    return plan._replace(manifests=manifests)


def _service_account(fleet: Fleet) -> Manifest:
    return manifest(
        {
            "apiVersion": SERVICE_ACCOUNT.api_version,
            "kind": SERVICE_ACCOUNT.kind,
            "metadata": fleet.metadata(fleet.service_account),
            "automountServiceAccountToken": False,
        }
    )


def _config_map(fleet: Fleet) -> Manifest:
    """The files through which Envoy finds, and follows, its certificate and the authority: they change without a restart."""
    data = {name: json.dumps(content) for name, content in sds_files("/certs").items()}
    if fleet.by_token:
        data[TOKEN_FILE] = json.dumps(token_sds_file(TOKEN_PATH))
        data[AUTHORITY] = fleet.options.authority
    return manifest({"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind, "metadata": fleet.metadata(), "data": data})
