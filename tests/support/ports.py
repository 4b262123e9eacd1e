"""Ports for programs that must be told one, free of collisions between whatever runs at the same time."""
import random
import resource
import socket

_held = []
# Each is a descriptor, and a long run holds more than the usual soft limit of 1,024.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, min(_hard, 8192)), _hard))


def free_port():
    """A port of 127.0.0.1 that is ours until this process ends.

    Its socket stays bound, so the kernel gives the port to nobody else. It does not listen, so a program that asks for the very number (with
    SO_REUSEADDR, as servers do) can, again after each restart. It is below the ports that the kernel takes for connections, so that the UDP port of
    the same number, which cannot be held in this way, is free too.
    """
    for _ in range(10_000):
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", random.randrange(20000, 32768)))
        except OSError:
            s.close()
            continue
        # Shared only now: two holders of one port are refused at bind().
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(s)
        return s.getsockname()[1]
    raise OSError("no free port between 20000 and 32767")
