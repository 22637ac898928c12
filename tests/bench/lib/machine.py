"""Processes, cores and counters of this machine."""
import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def cores():
    """(proxy, upstream, load): the proxy alone if there are two, all apart if there are three."""
    c = sorted(os.sched_getaffinity(0))
    return c[-1], c[1] if len(c) > 2 else c[0], c[0]


PROXY, UPSTREAM, LOAD = cores()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, limit_s, what):
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {limit_s} s")
        time.sleep(0.005)


def answers(where):
    """Whether somebody listens on a port, or on a Unix socket."""
    try:
        if isinstance(where, int):
            socket.create_connection(("127.0.0.1", where), 1).close()
        else:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(where)
        return True
    except OSError:
        return False


def _prepare(core, nice):
    def run():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {core})
        os.nice(nice)

    return run


class Process:
    """A child pinned to a core. Dies with us; stop() ends it by its id."""

    def __init__(self, args, core, nice=0, log=None, **popen):
        self.args = [str(a) for a in args]
        self.log = log
        out = open(log, "ab") if log else None
        try:
            self.child = subprocess.Popen(
                self.args, preexec_fn=_prepare(core, nice), stderr=out,
                **{"stdin": subprocess.DEVNULL, "stdout": out, **popen})
        finally:
            if out:
                out.close()
        self.pid = self.child.pid

    def alive(self):
        return self.child.poll() is None

    def wait_for_port(self, port):
        wait_until(lambda: answers(port) or not self.alive(), 10, self.args[0])
        if not self.alive():
            log = open(self.log, errors="replace").read()[-2000:] if self.log else ""
            raise RuntimeError(f"{' '.join(self.args)} ended at once:\n{log}")

    def pids(self):
        """Itself and its children: nginx and haproxy work in those."""
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/children") as f:
                return [self.pid] + [int(p) for p in f.read().split()]
        except OSError:
            return [self.pid]

    def cpu_s(self):
        """Time on a core so far, of all threads, to the nanosecond."""
        total = 0
        for pid in self.pids():
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                        total += int(f.read().split()[0])
            except OSError:
                pass  # it has just ended
        return total / 1e9

    def rss_bytes(self):
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/status") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
        return total * 1024

    def settle(self, limit_s=30):
        """Waits until it has nothing to do any more: less than 2 ms of CPU in 50, three times."""
        last, times = self.cpu_s(), 0

        def quiet():
            nonlocal last, times
            time.sleep(0.05)
            before, last = last, self.cpu_s()
            times = times + 1 if last - before < 0.002 else 0
            return times == 3

        wait_until(quiet, limit_s, f"{self.args[0]} doesn't come to rest")

    def stop(self):
        if self.alive():
            self.child.terminate()
            try:
                self.child.wait(3)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe:
                pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return os.uname().machine
