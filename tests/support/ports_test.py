"""40 processes take 25 ports each at the same time: all differ, and a server can listen on each, again after it ended."""
import multiprocessing
import socket
import unittest

from ports import free_port

STARTS, PORTS = 40, 25


def start(barrier, numbers):
    barrier.wait()
    ports = [free_port() for _ in range(PORTS)]
    barrier.wait()  # all processes have their ports
    for _ in range(2):
        servers = [socket.create_server(("127.0.0.1", p)) for p in ports]
        for s in servers:
            s.close()
    numbers.put(ports)
    barrier.wait()  # no process returns its ports before all are done


class Ports(unittest.TestCase):
    def test_forty_starts_at_once_never_collide(self):
        context = multiprocessing.get_context("fork")
        barrier, numbers = context.Barrier(STARTS, timeout=120), context.Queue()
        starts = [context.Process(target=start, args=(barrier, numbers)) for _ in range(STARTS)]
        for p in starts:
            p.start()
        taken = [port for _ in starts for port in numbers.get(timeout=120)]
        for p in starts:
            p.join()
        self.assertEqual([p.exitcode for p in starts], [0] * STARTS)
        self.assertEqual(len(set(taken)), STARTS * PORTS)

    def test_a_held_port_is_refused_to_others(self):
        port = free_port()
        with socket.socket() as other, self.assertRaises(OSError):
            other.bind(("127.0.0.1", port))


if __name__ == "__main__":
    unittest.main()
