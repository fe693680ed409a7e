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
import time

# Every policy but screening, with limits far above what is sent.
POLICY = {
    "REQUIRE_API_KEY": "true", "RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_RPM": "4000000000",
    "RATE_LIMIT_TPM": "4000000000", "ENABLE_ABUSE_DETECTION": "true",
    "ENABLE_INJECTION_DETECTION": "false", "AUDIT_SINKS": "file",
}
ALL_POLICIES = {**POLICY, "ENABLE_INJECTION_DETECTION": "true"}
ROOT = pathlib.Path(__file__).resolve().parents[2]
LOAD_SERVER = ROOT / "target/release/belljar-load-server"
# Longer than the server gives to streams that are open when it is told to stop.
STOP_S = 40
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


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
    """A wrk script that posts one body: bytes as they are, anything else as JSON."""
    folder = pathlib.Path(folder)
    headers = {"content-type": "application/json", **headers}
    data = folder / (name + ".body")
    data.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    script = folder / (name + ".lua")
    script.write_text(
        'wrk.method = "POST"\n'
        + "".join(f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}\n" for k, v in headers.items())
        + f'wrk.body = io.open({json.dumps(str(data))}, "rb"):read("*a")\n'
    )
    return script


def wrk_command(url, lua, seconds, connections):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "--latency"]
    return command + (["-s", str(lua)] if lua else []) + [url]


def wrk(url, lua, seconds, connections=16, refused=False):
    """What wrk prints after it has driven a URL, with a script or plain GETs. Ends the program
    where requests were refused and should not have been."""
    out = subprocess.run(
        wrk_command(url, lua, seconds, connections),
        check=True, capture_output=True, text=True, timeout=seconds + 60,
    ).stdout
    if "Non-2xx" in out and not refused:
        sys.exit(f"{url} answered with errors:\n{out}")
    return out


@contextlib.contextmanager
def crowd(url, lua, seconds, connections):
    """Drives a URL in the background for as long as the block lasts, and never longer than
    that many seconds."""
    process = subprocess.Popen(
        wrk_command(url, lua, seconds, connections), stdout=subprocess.DEVNULL
    )
    try:
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=STOP_S)


def processor_seconds(pid):
    """Of a process: user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) / TICKS_PER_SECOND, int(fields[12]) / TICKS_PER_SECOND


def requests_a_second(out):
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def requests(out):
    return int(re.search(r"(\d+) requests in", out).group(1))


def percentile_ms(out, percent):
    value, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)", out).groups()
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def p99_ms(out):
    return percentile_ms(out, 99)
