"""IR of an injected credential. `credential` is a sealed token, opened by xds_server alone."""

from __future__ import annotations

from shared.ir.base import IR


class CredentialInjection(IR, frozen=True):
    """`name` is the filter object's; `header` None stands for Authorization."""

    name: str
    credential: str = ""
    header: str | None = None
    overwrite: bool | None = None
