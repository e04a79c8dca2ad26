"""IR of external processing: a service of the user's that sees and changes requests and responses."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.destination import Destination
from shared.ir.traffic import Traffic


class ExtProc(IR, frozen=True):
    """Body modes are Streamed, Buffered, BufferedPartial or FullDuplexStreamed; none means that the body is not sent."""

    name: str
    destination: Destination
    authority: str = ""
    message_timeout: str | None = None
    shadow_mode: bool | None = None
    fail_open: bool | None = None
    status_on_error: int | None = None
    request_header_processing: bool = False
    request_body_processing_mode: str | None = None
    request_attributes: tuple[str, ...] = ()
    response_header_processing: bool = False
    response_body_processing_mode: str | None = None
    response_attributes: tuple[str, ...] = ()
    forwarding_metadata_namespaces: tuple[str, ...] = ()
    receiving_metadata_namespaces: tuple[str, ...] = ()
    allow_mode_override: bool = False
    traffic: Traffic | None = None
