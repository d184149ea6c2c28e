#!/bin/sh
# What nodes made of namespaces need beside the engines. Where it cannot be had, the tests of nodes say so and are skipped.
set -eu
missing=
for pair in containerd:containerd runc:runc iptables:iptables conntrack:conntrack ip:iproute2 nsenter:util-linux cc:gcc; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
[ -e /usr/lib/cni/ptp ] || missing="$missing containernetworking-plugins"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "NO KUBERNETES NODES HERE: missing$missing, and this is not root on Debian" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || true
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null || echo "NO KUBERNETES NODES HERE: apt-get could not install$missing" >&2
