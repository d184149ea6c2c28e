#!/bin/sh
# The demo of the README: grow a cluster, look at it, write a key and read it back from every member.
set -eu
quorate=$1 bin=$2 dir=$3

"$quorate" local up --members 3 --dir "$dir" --etcd "$bin/etcd-3.6"
eval "$("$quorate" local env --dir "$dir")"

echo
echo "The real etcdctl agrees:"
"$bin/etcdctl" member list -w table

echo
echo "A key written once, read back from every member:"
"$bin/etcdctl" put greeting "quorum is safe" >/dev/null
for endpoint in $(echo "$ETCDCTL_ENDPOINTS" | tr , ' '); do
	# etcdctl refuses a flag beside its variable, so the variable is what changes.
	value=$(ETCDCTL_ENDPOINTS=$endpoint "$bin/etcdctl" get greeting --print-value-only)
	printf '  %s  %s\n' "$endpoint" "$value"
done

echo
echo "The cluster goes on running. Take it down with:  make demo-down"
