"""What the load scripts share: the server that they start, and wrk."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOAD_SERVER = ROOT / "target/release/belljar-load-server"
# Longer than the server gives to streams that are open when it is told to stop.
STOP_S = 40


def need_wrk():
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed (Debian: apt-get install wrk)")


def need_program(program):
    if not pathlib.Path(program).exists():
        sys.exit("build it first: cargo build --release --workspace")
    return program


@contextlib.contextmanager
def load_server(program=LOAD_SERVER, **settings):
    """The load server with settings such as `HTTP_STREAMS_MAX="7"`, until the block ends: its
    process, what it says of itself, and a folder for scripts."""
    need_program(program)
    environment = {**os.environ, **{"BELLJAR_" + key: value for key, value in settings.items()}}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [program, pathlib.Path(folder, "data")],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )
        try:
            yield process, json.loads(process.stdout.readline()), folder
        finally:
            process.terminate()
            process.wait(timeout=STOP_S)


def post(folder, name, body, **headers):
    """A wrk script that posts one body, as JSON."""
    headers = {"content-type": "application/json", **headers}
    path = pathlib.Path(folder, name + ".lua")
    path.write_text(
        'wrk.method = "POST"\n'
        + "".join(f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}\n" for k, v in headers.items())
        + f"wrk.body = {json.dumps(json.dumps(body))}\n"
    )
    return path


def wrk(url, lua, seconds, connections=16, refused=False):
    """What wrk prints after it has driven a URL, with a script or plain GETs. Ends the program
    where requests were refused and should not have been."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += (["-s", str(lua)] if lua else []) + [url]
    out = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=seconds + 60
    ).stdout
    if "Non-2xx" in out and not refused:
        sys.exit(f"{url} answered with errors:\n{out}")
    return out


def requests_a_second(out):
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def requests(out):
    return int(re.search(r"(\d+) requests in", out).group(1))


def p99_ms(out):
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]
