"""The build that is measured."""
import os
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
PROGRAMS = ["src/turnstile", *("tests/bench/bench_" + name
                               for name in ("upstream", "poller", "load", "scanner", "line",
                                            "floor_server", "floor_client"))]


def release_build():
    """Installs what is missing and builds, as users would get it; returns the directory."""
    build = os.path.join(ROOT, "build-bench")
    quiet = {"stdout": sys.stderr, "check": True, "cwd": ROOT}
    subprocess.run(["config/install-packages", "build", "bench"], **quiet)
    if not os.path.exists(os.path.join(build, "build.ninja")):
        subprocess.run(["meson", "setup", build, "--buildtype=release", "-Ddebug=true"], **quiet)
    subprocess.run(["ninja", "-C", build, *PROGRAMS], **quiet)
    return build
