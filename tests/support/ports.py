"""Ports for programs that must be told one, without collisions between programs that run at the same time."""
import random
import resource
import socket

_held = []
# Each port holds a descriptor, and a long run holds more than the usual soft limit of 1,024.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, min(_hard, 8192)), _hard))


def free_port():
    """A port of 127.0.0.1 that is ours until this process ends.

    Its socket stays bound, so the kernel gives the port to nobody else. The socket does not listen, so a program that asks for this number with
    SO_REUSEADDR, as servers do, can listen on it, and again after each restart. The port is below those that the kernel uses for connections, so that the
    UDP port of the same number, which cannot be held in this way, is free, too.
    """
    for _ in range(10_000):
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", random.randrange(20000, 32768)))
        except OSError:
            s.close()
            continue
        # Set only now, so that bind() refuses a second holder of the port.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(s)
        return s.getsockname()[1]
    raise OSError("no free port between 20000 and 32767")
