"""A server that answers as an API server may, one answer after the other."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, TypeAlias

from quorate.phases.base.context import Context
from quorate.tree import RealTree

Answer: TypeAlias = tuple[int, dict[str, str]]
"""Status and headers."""
Answers: TypeAlias = list[Answer]


@contextmanager
def serving(answers: Answers, identity: Context | None = None, body: object = None) -> Iterator[int]:
    """A server that gives these answers (status and headers), the last one again and again; yields its port. `identity`: with
    the API server's certificate of this node, by TLS. `body`: of each answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            content = json.dumps(body or {"kind": "Status"}).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Not to the output of tests."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if identity is not None:
            _with_certificate(server, identity)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _with_certificate(server: HTTPServer, identity: Context) -> None:
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert isinstance(identity.tree, RealTree)
    root = identity.tree.root
    shown.load_cert_chain(f"{root}/etc/kubernetes/pki/apiserver.crt", f"{root}/etc/kubernetes/pki/apiserver.key")
    server.socket = shown.wrap_socket(server.socket, server_side=True)
