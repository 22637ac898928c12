"""turnstile, and what people would use instead: how each is started, alike."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile

from .machine import PROXY, UPSTREAM, Process, answers, free_port, wait_until

# Nobody writes a line a request; nobody pauses between turns; nobody runs out of room.
TURNSTILE_OPTIONS = [
    "admin.address=", "log.level=warn", "queue.delay_ms=0", "queue.timeout_ms=300000",
    "queue.max_waiting=100000", "listen.max_connections=20000",
]

NGINX_CONF = """
worker_processes 1;
daemon off;
pid {dir}/pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; multi_accept on; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  tcp_nodelay on;
  keepalive_timeout 300s; keepalive_requests 1000000000;
  client_max_body_size 0; client_body_buffer_size 64k;
  upstream relay {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://relay; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_buffering off; proxy_read_timeout 300s;
    }}
  }}
}}
"""

HAPROXY_CFG = """
global
  nbthread 1
  no strict-limits
  maxconn 11000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout queue 300s
  http-reuse always
  option http-no-delay
frontend clients
  bind 127.0.0.1:{port} backlog 4096
  default_backend relay
{more}
backend relay
  server relay 127.0.0.1:{upstream} {server}
"""

# One account has a line, all else passes.
HAPROXY_LINE = """
  use_backend line if {{ req.hdr(x-api-key) sk-bench-0 }}
backend line
  server relay 127.0.0.1:{upstream} maxconn 1
"""


class Bench:
    """The programs, a directory for their files, and the upstream; and all that was started."""

    def __init__(self, build, before=None):
        self.build, self.before = build, before
        self.stack = contextlib.ExitStack()
        self.dir = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="turnstile-bench-"))
        self.upstream_port = free_port()
        self.upstream = self.start(
            [self.program("upstream"), "--port", self.upstream_port], UPSTREAM)
        self.upstream.wait_for_port(self.upstream_port)

    def program(self, name):
        return os.path.join(self.build, "tests/bench/bench_" + name)

    def start(self, args, core, **options):
        log = os.path.join(self.dir, "log")
        return self.stack.enter_context(Process(args, core, log=log, **options))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return self.stack.__exit__(*exc)


class Peer:
    """A proxy that runs: where it listens, and its processes (the first is the proxy)."""

    def __init__(self, name, port, processes):
        self.name, self.port, self.processes = name, port, processes

    @property
    def proxy(self):
        return self.processes[0]

    def stop(self):
        for p in self.processes:
            p.stop()


def direct(bench):
    return Peer("direct", bench.upstream_port, [bench.upstream])


def turnstile(bench, *options, name="turnstile", wrap=(), program=None):
    port = free_port()
    args = [*wrap, program or os.path.join(bench.build, "src/turnstile")]
    for o in [f"listen.address=127.0.0.1:{port}",
              f"upstream.url=http://127.0.0.1:{bench.upstream_port}", *TURNSTILE_OPTIONS, *options]:
        args += ["-o", o]
    p = bench.start(args, PROXY)
    p.wait_for_port(port)
    return Peer(name, port, [p])


def before(bench, *options):
    """Another build of turnstile, to compare with: see --before."""
    return turnstile(bench, *options, name="before", program=bench.before)


def turnstile_redis(bench, *options):
    """With a Redis of its own, which doesn't share the proxy's core."""
    directory = tempfile.mkdtemp(dir=bench.dir)
    redis = bench.start(["redis-server", "--port", "0", "--unixsocket", f"{directory}/s", "--dir",
                         directory, "--save", "", "--appendonly", "no"], UPSTREAM)
    wait_until(lambda: answers(f"{directory}/s"), 10, "redis-server doesn't answer")
    peer = turnstile(bench, f"redis.url=unix:{directory}/s", "redis.instance=bench", *options,
                     name="turnstile, Redis")
    redis.url = f"unix:{directory}/s"
    peer.processes.append(redis)
    return peer


def _configured(bench, name, text, command):
    port = free_port()
    directory = tempfile.mkdtemp(dir=bench.dir)
    path = f"{directory}/conf"
    with open(path, "w") as f:
        f.write(text.format(dir=directory, port=port, upstream=bench.upstream_port))
    p = bench.start([c.format(path=path, dir=directory) for c in command], PROXY)
    p.wait_for_port(port)
    return Peer(name, port, [p])


def nginx(bench):
    return _configured(bench, "nginx", NGINX_CONF,
                       ["nginx", "-p", "{dir}", "-c", "{path}", "-e", "stderr"])


def haproxy(bench, server="", more=""):
    return _configured(bench, "HAProxy",
                       HAPROXY_CFG.replace("{server}", server).replace("{more}", more),
                       ["haproxy", "-db", "-q", "-f", "{path}"])


def haproxy_line(bench):
    return haproxy(bench, more=HAPROXY_LINE)


def haproxy_one(bench):
    return haproxy(bench, "maxconn 1")


def floor_server(bench):
    """The plainest server on the proxy's library."""
    port = free_port()
    p = bench.start([bench.program("floor_server"), "--port", port], PROXY)
    p.wait_for_port(port)
    return Peer("libmicrohttpd", port, [p])


def polling(bench):
    port = free_port()
    p = bench.start([bench.program("poller"), "--port", port, "--upstream", bench.upstream_port],
                    PROXY)
    p.wait_for_port(port)
    return Peer("polling", port, [p])


def versions(bench):
    """What is measured, as "name version" each."""
    commands = [([os.path.join(bench.build, "src/turnstile"), "--version"], "turnstile"),
                (["nginx", "-v"], "nginx"), (["haproxy", "-v"], "HAProxy"),
                (["redis-server", "--version"], "Redis"), (["wrk", "-v"], "wrk")]
    found = []
    for command, name in commands:
        if shutil.which(command[0]):
            text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, check=False).stdout
            number = re.search(r"\d+\.\d+[.\d]*", text)
            found.append(f"{name} {number.group(0) if number else '?'}")
    return found
