"""A writer as a process of its own, to run inside a network namespace: writes until its stdin closes, then prints as JSON what
was acknowledged, the longest gap in seconds, and how many acknowledged writes are missing."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from writer import Writer, key

from quorate.etcd.client import kv
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import TlsFiles, load_tls, parse_endpoints


def main() -> None:
    endpoints = parse_endpoints([sys.argv[1]])
    folder = Path(sys.argv[2])
    with Access(load_tls(TlsFiles(folder / "ca.crt", folder / "client.crt", folder / "client.key"))) as access:
        writer = Writer(access, endpoints, pause=float(sys.argv[3]))
        thread = threading.Thread(target=writer.run)
        thread.start()
        sys.stdin.read()
        writer.over.set()
        thread.join()
        found = {row.key for row in kv.get_prefix(access.channel(writer.endpoints[0]), b"w/", timeout=20)}
    lost = sum(key(number) not in found for number in writer.acknowledged)
    print(json.dumps({"acknowledged": len(writer.acknowledged), "longest": writer.longest_gap, "lost": lost}))


main()
