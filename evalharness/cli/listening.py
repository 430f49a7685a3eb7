"""What verbs share that serve something: a socket, an end by Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    import socket

__all__ = ["address_of", "listening_on", "port_number", "until_signalled"]


def listening_on(host: str, port: int) -> socket.socket:
    """A socket bound to the address, listening."""
    import errno
    import socket

    from evalharness.core.errors import UsageError

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host!r}: no such address: {error.strerror or error}") from error
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        # Two sockets may be bound to one port until one of them listens; connections wait until the model is loaded.
        found.listen(1024)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} on {host} is in use; name another with --port (0 takes a free one)"
            ) from error
        raise UsageError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return found


def address_of(listening: socket.socket) -> str:
    """The address of a socket as it stands in a URL."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.contextmanager
def until_signalled(codes: dict[int, int], stopped: asyncio.Future[int]) -> Iterator[None]:
    """In the block the first of these signals gives `stopped` its exit code; a second one has its usual effect."""
    import asyncio

    def stop(code: int) -> None:
        if not stopped.done():
            stopped.set_result(code)
        for number in codes:
            loop.remove_signal_handler(number)

    loop = asyncio.get_running_loop()
    try:
        for number, code in codes.items():
            loop.add_signal_handler(number, stop, code)
    except NotImplementedError:  # Windows: KeyboardInterrupt ends the loop
        yield
        return
    try:
        yield
    finally:
        for number in codes:
            loop.remove_signal_handler(number)


def port_number(text: str) -> int:
    """A port of the command line."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return value
