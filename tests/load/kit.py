"""What the load scripts share: the server that they start, and wrk."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

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
# Longer than the embedded models take to be compiled beside other work.
START_S = 60
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
            ready = json.loads(process.stdout.readline())
            wait_until_ready(lambda: ready["server"], process)
            yield process, ready, folder
        finally:
            process.terminate()
            process.wait(timeout=STOP_S)


def wait_until_ready(address, process):
    """Waits until the models are compiled, and gives the address: that is there before. Where it is
    a file's, that of a server before may be, too."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url = address()
            with urllib.request.urlopen(url + "/health/ready", timeout=5):
                return url
        except (OSError, ValueError):
            time.sleep(0.05)
    sys.exit(f"the server has ended, or is not ready after {START_S} s; try it by hand")


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


class Server:
    """The release server in a folder of its own with settings such as `RUNS_KEEP="7"`, without a log
    of requests, on the cores that `before` says (a command to start it with)."""

    def __init__(self, folder, program, before=(), **settings):
        self.data = pathlib.Path(folder, "data")
        environment = {key: value for key, value in os.environ.items() if "BELLJAR" not in key}
        settings = {"LOG_ACCESS": "false", "EMBEDDED_FAKE": "false", **settings}
        environment |= {"BELLJAR_" + key: value for key, value in settings.items()}
        self.process = subprocess.Popen(
            [*before, program, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.data],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            self.url = wait_until_ready(self.address, self.process)
        except SystemExit:
            self.end()
            raise
        self.authority = self.url.removeprefix("http://")
        self.key = (self.data / "admin.key").read_text().strip()

    def address(self):
        return json.loads((self.data / "server.json").read_text())["url"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=STOP_S)

    def connection(self):
        host, port = self.authority.split(":")
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def drive(self, requests, then=None):
        """Microseconds of the server's processor for each request, one after the other on one
        connection. `then` makes the next one of the head of an answer, where there is one."""
        with self.connection() as connection:
            before = sum(processor_seconds(self.process.pid))
            for request in requests:
                connection.sendall(request)
                head, _ = read_answer(connection)
                if then:
                    connection.sendall(then(head))
                    read_answer(connection)
            used = sum(processor_seconds(self.process.pid)) - before
        return 1e6 * used / len(requests)


def raw(authority, path, body, headers, method="POST"):
    """A request as its bytes."""
    lines = [f"host: {authority}", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return (f"{method} {path} HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode() + body


def read_answer(connection):
    """The head and the body of an answer that has a length."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += read_some(connection)
    head, body = answer.split(b"\r\n\r\n", 1)
    if b" 200 " not in head.split(b"\r\n")[0]:
        sys.exit(f"refused: {answer.decode(errors='replace')}")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += read_some(connection)
    return head, body


def read_some(connection):
    some = connection.recv(1 << 16)
    if not some:
        sys.exit("the server has closed the connection in the midst of an answer")
    return some
