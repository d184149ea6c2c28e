"""A server that gives the answers of a member, whatever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc

from quorate.etcd.client import wire_pb2 as wire

HEADER = wire.Header(cluster_id=99, member_id=1, raft_term=2, revision=5)
Answers = Mapping[str, Callable[[], Any]]


def status(**fields: Any) -> Callable[[], wire.StatusResponse]:
    numbers = {"leader": 1, "raftIndex": 9, "raftTerm": 2, "raftAppliedIndex": 9, "dbSize": 20480}
    usual: dict[str, Any] = {"header": HEADER, "version": "3.6.16", **numbers}
    return lambda: wire.StatusResponse(**(usual | fields))


def members(*rows: wire.Member) -> Callable[[], wire.MembersResponse]:
    return lambda: wire.MembersResponse(header=HEADER, members=rows)


def row(number: int, name: str, port: int = 1) -> wire.Member:
    url = f"http://127.0.0.1:{port}"
    return wire.Member(ID=number, name=name, peerURLs=[url], clientURLs=[url])


@contextmanager
def etcd(answers: Answers) -> Iterator[int]:
    """Yields the port of a server that gives these answers by method; it knows no other."""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            make = answers.get(handler_call_details.method.rpartition("/")[2])
            if make is None:
                return None
            return grpc.unary_unary_rpc_method_handler(
                lambda _request, _context: make().SerializeToString(),
                request_deserializer=lambda data: data,
                response_serializer=lambda data: data,
            )

    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()
