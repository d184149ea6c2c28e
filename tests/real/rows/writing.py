"""A writer as a process of its own, on members without TLS: `python writing.py ENDPOINTS`. It writes until its stdin closes,
then prints as JSON how many writes were acknowledged, and how many of those are missing as each of the endpoints named on its
last line of input reads them."""

from __future__ import annotations

import json
import sys
import threading

from writer import Writer, key

from quorate.etcd.client import kv
from quorate.etcd.client.connections import Access
from quorate.etcd.client.endpoint import parse_endpoints


def main() -> None:
    with Access(None) as access:
        writer = Writer(access, parse_endpoints([sys.argv[1]]), pause=0.01)
        thread = threading.Thread(target=writer.run)
        thread.start()
        asked = sys.stdin.read().strip()
        writer.over.set()
        thread.join()
        lost = 0
        for endpoint in parse_endpoints([asked]):
            found = {row.key for row in kv.get_prefix(access.channel(endpoint), b"w/", timeout=20)}
            lost += sum(key(number) not in found for number in writer.acknowledged)
    print(json.dumps({"acknowledged": len(writer.acknowledged), "lost": lost}))


if __name__ == "__main__":
    main()
