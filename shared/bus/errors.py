"""What can go wrong on the bus, told apart by what the caller should do about it."""

from __future__ import annotations


class BusError(Exception):
    """Base of everything that this package raises."""


class Unavailable(BusError):
    """NATS is away, slow, or lost the reply: try again; every write of ours is idempotent."""


class NoStream(Unavailable):
    """No stream takes this subject: somebody deleted it. The next session makes it again."""


class BusClosed(BusError):
    """`Bus.close` was called."""


class ApiError(BusError):
    """JetStream refused a request; `code` is its err_code (https://github.com/nats-io/nats-server/blob/main/server/errors.json)."""

    def __init__(self, status: int, code: int, description: str) -> None:
        super().__init__(f"{description} ({status}, err_code {code})")
        self.status = status
        self.code = code


class NoLongerWriter(BusError):
    """Somebody with a newer epoch writes here now: stop writing, and ask for the lease again."""


WRONG_LAST_SEQUENCE = 10071
STREAM_NOT_FOUND = 10059
STREAM_NAME_IN_USE = 10058
