"""Reads the static configuration, and says what is wrong with it so that a person can mend it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import yaml

from shared.core import durations
from shared.runtime import extensions
from shared.runtime.config import EnvoyGateway

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`(?: - at `\$?\.?(?P<at>[^`]*)`)?")
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$?\.?(?P<at>[^`]*)`)?$", re.DOTALL)


class ConfigError(Exception):
    """The configuration cannot be used; the text names the file, the field's path and what was expected."""


def load(path: str | os.PathLike[str] | None) -> EnvoyGateway:
    """The configuration in a file, or the defaults for None. Raises ConfigError."""
    if path is None:
        return EnvoyGateway()
    try:
        text = Path(path).read_text()
    except OSError as e:
        raise ConfigError(
            f"{path}: cannot be read: {e.strerror}. Give an existing file to --config-path, or leave it out for defaults."
        ) from e
    return parse(text, str(path))


def parse(text: str, where: str = "configuration") -> EnvoyGateway:
    """The configuration in a YAML (or JSON) text. Raises ConfigError."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise ConfigError(f"{where}: not valid YAML: {' '.join(str(e).split())}") from e
    if data is None:
        return EnvoyGateway()
    try:
        config = msgspec.convert(data, EnvoyGateway)
    except msgspec.ValidationError as e:
        raise ConfigError(f"{where}: {_explain(str(e))}") from e
    _check(config, where)
    return config


def _explain(problem: str) -> str:
    if m := _UNKNOWN.match(problem):
        at = m["at"] or ""
        path = f"{at}.{m['field']}" if at else m["field"]
        return f"{path}: unknown field; expected one of: {', '.join(_fields_at(at))}"
    m = _PLACE.match(problem)
    assert m is not None
    return f"{m['at'] or '(top)'}: {m['what'][:1].lower()}{m['what'][1:]}"


def _fields_at(at: str) -> list[str]:
    kind: Any = EnvoyGateway
    for name in re.findall(r"[A-Za-z]+", at):
        found = [f for f in msgspec.structs.fields(kind) if f.encode_name == name]
        kind = next((t for t in _structs(found[0].type)), None) if found else None
        if kind is None:
            return []
    return sorted(f.encode_name for f in msgspec.structs.fields(kind))


def _structs(t: Any) -> list[Any]:
    if isinstance(t, type) and issubclass(t, msgspec.Struct):
        return [t]
    return [s for a in get_args(t) for s in _structs(a)]


def _check(config: EnvoyGateway, where: str) -> None:
    """What types alone cannot say."""
    if not config.gateway.controller_name:
        raise ConfigError(f"{where}: gateway.controllerName: expected a name such as example.com/my-controller, got an empty string")
    provider = config.provider
    if provider.type == "Custom":
        if provider.custom is None:
            raise ConfigError(f"{where}: provider.custom: expected a section, because provider.type is Custom")
        if provider.custom.resource.type == "File" and not (provider.custom.resource.file and provider.custom.resource.file.paths):
            raise ConfigError(f"{where}: provider.custom.resource.file.paths: expected at least one folder or file")
    if provider.type == "Kubernetes" and provider.custom is not None:
        raise ConfigError(f"{where}: provider.custom: not expected, because provider.type is Kubernetes")
    for fault in extensions.faults(config.extension_manager, config.extension_managers):
        raise ConfigError(f"{where}: {fault}")
    for field in ("max_connection_age", "max_connection_age_grace"):
        value = getattr(config.xds_server, field)
        if value is not None:
            try:
                durations.parse(value)
            except ValueError as e:
                name = "maxConnectionAge" if field == "max_connection_age" else "maxConnectionAgeGrace"
                raise ConfigError(f"{where}: xdsServer.{name}: {e} (expected for instance 10s or 1h30m)") from e
