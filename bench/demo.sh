#!/bin/sh
# The demo of the README: grow a cluster, look at it, write a key and read it back from every member.
set -eu
venv=$1 engines=$2 dir=$3

# One word of a shell, whatever is in it.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

"$venv/quorate" local up --members 3 --dir "$dir" --etcd "$engines/etcd-3.6"
eval "$("$venv/quorate" local env --dir "$dir")"

echo
echo "The real etcdctl agrees:"
"$engines/etcdctl" member list -w table

echo
echo "A key written once, read back from every member:"
"$engines/etcdctl" put greeting "quorum is safe" >/dev/null
for endpoint in $(echo "$ETCDCTL_ENDPOINTS" | tr , ' '); do
	# etcdctl refuses a flag beside its variable, so the variable is what changes.
	value=$(ETCDCTL_ENDPOINTS=$endpoint "$engines/etcdctl" get greeting --print-value-only)
	printf '  %s  %s\n' "$endpoint" "$value"
done

cat <<END

The cluster keeps running. For quorate and etcdctl in your shell, paste:

  export PATH=$(quoted "$venv"):$(quoted "$engines"):"\$PATH"
  export QUORATE_LOCAL_DIR=$(quoted "$dir")
  eval "\$(quorate local env)"

Then, for example:

  quorate local status
  etcdctl member list -w table

Take it down with:  make demo-down
END
