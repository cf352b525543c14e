"""The server: an address of this machine, and the application there until Ctrl-C."""

import socket

import uvicorn

from gangen.errors import UsageError
from gangen.model import Model
from gangen.printing import say
from gangen.serving.app import Limits, application


def serve(model: Model, *, host: str, port: int, limits: Limits, title: str = "") -> None:
    """Serve ``model``, which people call by its ``title``, until the process is told to end.

    Raises UsageError for an address that cannot be had.
    """
    with _listening(host, port) as listener:
        port = listener.getsockname()[1]
        say(f"{title or model.name} on http://{f'[{host}]' if ':' in host else host}:{port}  (Ctrl-C ends it)")
        server = uvicorn.Server(uvicorn.Config(application(model, limits, title), log_level="warning"))
        server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        if not 0 <= port < 2**16:
            raise OSError("ports are 0 to 65535")
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UsageError(
            f"port {port} of {host} cannot be had: {error.strerror or error}\ntake another by --port, or 0 for any"
        ) from None
