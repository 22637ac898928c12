"""Runs the load generators, and reads others' counters while they measure."""
import json
import os
import subprocess
import time

from .machine import LOAD, PROXY, Process

WRK_SCRIPT = """
function init(args)
  if args[1] then
    wrk.method = "POST"
    wrk.body = io.open(args[1]):read("*a")
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["x-api-key"] = "sk-bench"
  end
end
function done(s, latency)
  print(string.format('{"answered":%d,"seconds":%.6f,"p99_us":%.1f,"refused":%d}', s.requests,
    s.duration / 1e6, latency:percentile(99),
    s.errors.connect + s.errors.read + s.errors.write + s.errors.status + s.errors.timeout))
end
"""

# What a coding agent's tool results are made of: source text, with line numbers; as in load.c.
FILE_AS_READ = """    17  static void on_bytes(struct visitor *v)
    18  {
    19  \tssize_t n = recv(v->fd, data, sizeof data, 0);
    20
    21  \tif (n > 0 && !v->done)
    22  \t\tprintf("%zd bytes more\\n", n);
"""


class Load:
    """bench_load in a mode. After start it is at its measured time, after result() at its end."""

    def __init__(self, bench, mode, peer, nice=0, **options):
        args = [bench.program("load"), mode, "--port", peer.port]
        for name, value in options.items():
            args += ["--" + name, int(value)]
        self.peer = peer
        self.process = bench.start(args, LOAD, nice=nice, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        if self.process.child.stdout.readline() != b"begin\n":
            self.process.stop()
            raise RuntimeError(f"{mode} through {peer.name} didn't begin: see its log:\n"
                               + open(self.process.log, errors="replace").read()[-2000:])
        self.cpu = [p.cpu_s() for p in peer.processes]

    def spent(self):
        """CPU seconds of each of the peer's processes since the measured time began."""
        return [p.cpu_s() - before for p, before in zip(self.peer.processes, self.cpu)]

    def result(self):
        """Its numbers, and the CPU seconds. Ends a mode that waits for the end of its input."""
        self.process.child.stdin.close()
        line = self.process.child.stdout.readline()
        spent = self.spent()
        self.process.child.stdin = None
        self.process.child.wait(30)
        self.process.stop()
        if not line:
            raise RuntimeError(f"{self.process.args} gave no result")
        return json.loads(line), spent

    def kill(self):
        self.process.stop()


def run(bench, mode, peer, **options):
    """A whole run. Answers that aren't 200 make it worthless, so they end it."""
    result, spent = Load(bench, mode, peer, **options).result()
    if result["refused"]:
        raise RuntimeError(f"{mode} through {peer.name}: {result['refused']} requests failed")
    return result, spent


def tool_result_body(bench, size):
    """A file with a conversation that ends with a tool's result."""
    path = os.path.join(bench.dir, f"body-{size}")
    if not os.path.exists(path):
        block = {"type": "tool_result", "tool_use_id": "t1", "content": ""}
        body = {"model": "m", "max_tokens": 64, "stream": True, "messages": [
            {"role": "user", "content": "go on"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read",
                                               "input": {}}]},
            {"role": "user", "content": [block]}]}
        room = size - len(json.dumps(body))
        block["content"] = FILE_AS_READ * max(room // (len(json.dumps(FILE_AS_READ)) - 2), 0)
        with open(path, "w") as f:
            json.dump(body, f)
    return path


def wrk(bench, peer, path, body_size, connections, seconds):
    """wrk for that long, in whole seconds: its numbers, and the peer's CPU seconds meanwhile."""
    script = os.path.join(bench.dir, "wrk.lua")
    if not os.path.exists(script):
        with open(script, "w") as f:
            f.write(WRK_SCRIPT)
    args = ["wrk", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--timeout", "20s",
            "-s", script, f"http://127.0.0.1:{peer.port}{path}"]
    if body_size:
        args += ["--", tool_result_body(bench, body_size)]
    before = [p.cpu_s() for p in peer.processes]
    start = time.monotonic()
    with Process(args, LOAD, stdout=subprocess.PIPE) as p:
        lines = p.child.stdout.read().decode().splitlines()
    elapsed = time.monotonic() - start
    spent = [p.cpu_s() - b for p, b in zip(peer.processes, before)]
    result = json.loads(next(line for line in lines if line.startswith("{")))
    if result["refused"] or not result["answered"]:
        raise RuntimeError(f"wrk through {peer.name}: {result}")
    result["busy"] = spent[0] / elapsed
    return result, spent


def floor_client(bench, body_size, connections, seconds):
    """CPU seconds a request of the plainest client on the proxy's library, on the proxy's core."""
    args = [bench.program("floor_client"), "--port", bench.upstream_port, "--connections",
            connections, "--bytes", body_size, "--run_ms", int(seconds * 1000)]
    with Process(args, PROXY, stdout=subprocess.PIPE) as p:
        result = json.loads(p.child.stdout.read())
    if result["refused"] or not result["answered"]:
        raise RuntimeError(f"the plainest client: {result}")
    return result["cpu_s"] / result["answered"]
