"""HTTP/2 over TLS by the package `h2` and Python's own TLS: h2_tls.py HOST:PORT AUTHORITY

Two requests at once on one connection, chosen by ALPN; a server whose certificate nobody vouches
for, or whose name is another, is not spoken to.
"""

import json
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events

SECONDS = 20


def connect(host, port, context, name):
    plain = socket.create_connection((host, port), timeout=SECONDS)
    return context.wrap_socket(plain, server_hostname=name)


def exchange(stream, name, requests):
    """Sends all requests, each on a stream of its own, and gives their statuses and bodies."""
    connection = h2.connection.H2Connection(config=h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    for at, (method, path, body) in enumerate(requests):
        number = 2 * at + 1
        headers = [(":method", method), (":path", path), (":authority", name), (":scheme", "https")]
        if body:
            headers += [("content-type", "application/json"), ("content-length", str(len(body)))]
        connection.send_headers(number, headers, end_stream=not body)
        if body:
            connection.send_data(number, body, end_stream=True)
    stream.sendall(connection.data_to_send())
    statuses, bodies, open_streams = {}, {}, len(requests)
    while open_streams:
        data = stream.recv(65536)
        assert data, "the server has closed the connection"
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                statuses[event.stream_id] = int(dict(event.headers)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                open_streams -= 1
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                sys.exit(f"h2: {event}")
        stream.sendall(connection.data_to_send())
    return [(statuses[number], bodies[number]) for number in sorted(statuses)]


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    address = (host, int(port))
    context = ssl.create_default_context(cafile=sys.argv[2])
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connect(*address, context, host) as stream:
        assert stream.selected_alpn_protocol() == "h2", stream.selected_alpn_protocol()
        assert stream.version() in ("TLSv1.2", "TLSv1.3"), stream.version()
        body = json.dumps({"model": "echo", "inputs": {"x": [1, 2]}}).encode()
        models, echo = exchange(stream, host, [("GET", "/v1/models", b""), ("POST", "/infer", body)])
        assert models[0] == 200 and json.loads(models[1])["data"], models
        assert echo[0] == 200 and json.loads(echo[1])["outputs"]["x"] == [1, 2], echo
    strangers = ssl.create_default_context()
    for other, name in [(strangers, host), (context, "elsewhere.example")]:
        try:
            connect(*address, other, name)
        except ssl.SSLCertVerificationError:
            continue
        sys.exit(f"h2: a certificate was believed that is not for {name}")
    print("h2: ok")


main()
