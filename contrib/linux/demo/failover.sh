#!/usr/bin/env bash
#
# Two firewalls of this module's, in network namespaces, and a TCP connection of the kernel's through
# them. The master is killed with SIGKILL, comes back, and takes over again: the connection goes on.
#
#	client ── br-in ──┬── fw1 ──┬── br-out ── server
#	                  │    ║    │
#	                  └── fw2 ──┘
#
# Needs root, ip and Go. Takes about half a minute; what it makes it removes.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "failover.sh: network namespaces need root" >&2; exit 77; }
command -v ip >/dev/null || { echo "failover.sh: ip is not installed" >&2; exit 77; }

run=fo$$
tmp=$(mktemp -d)
pids=()
finish() {
	local rc=$?
	for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	for n in client server fw1 fw2 lan; do ip netns del "$run$n" 2>/dev/null || true; done
	((rc == 0 || rc == 77)) || { echo "-- fw1"; tail -n 20 "$tmp/fw1.log"; echo "-- fw2"; tail -n 20 "$tmp/fw2.log"; } 2>/dev/null || true
	rm -rf "$tmp"
}
trap finish EXIT

GOWORK=off go build -o "$tmp" ./cmd/firewalld ./demo/talk

ip netns add "${run}lan" 2>"$tmp/err" || { echo "failover.sh: no network namespaces here: $(cat "$tmp/err")" >&2; exit 77; }
for n in client server fw1 fw2; do ip netns add "$run$n"; done
for br in in out sync; do ip -n "${run}lan" link add "$br" type bridge mcast_snooping 0 && ip -n "${run}lan" link set "$br" up; done
plug() { # NAMESPACE INTERFACE BRIDGE
	ip -n "${run}lan" link add "$1-$2" type veth peer name "$2" netns "$run$1"
	ip -n "${run}lan" link set "$1-$2" master "$3" up
	ip -n "$run$1" link set "$2" up
}
plug client eth0 in
plug server eth0 out
for fw in fw1 fw2; do
	for leg in in out sync; do
		plug $fw $leg $leg
		ip -n "$run$fw" link set "$leg" promisc on
	done
done
ip -n "${run}client" addr add 10.20.0.1/24 dev eth0
ip -n "${run}client" route add default via 10.20.0.254
ip -n "${run}server" addr add 10.30.0.1/24 dev eth0
ip -n "${run}server" route add default via 10.30.0.254
for n in client server; do ip -n "$run$n" link set lo up; done

head -c 32 /dev/urandom >"$tmp/key"
firewall() { # NUMBER SKEW
	ip netns exec "${run}fw$1" "$tmp/firewalld" -in "in,10.20.0.25$1/24,10.20.0.254" -out "out,10.30.0.25$1/24,10.30.0.254" \
		-sync "sync,10.9.0.$1/24" -skew "$2" -pass demo -key "$tmp/key" 2>>"$tmp/fw$1.log" &
	pids[$1]=$!
}
firewall 1 64
firewall 2 80
ip netns exec "${run}server" "$tmp/talk" -offload eth0 -listen 10.30.0.1:7000 &
pids[3]=$!
sleep 4

echo "a connection through fw1"
ip netns exec "${run}client" "$tmp/talk" -offload eth0 -for 16s 10.30.0.1:7000 >"$tmp/talk.log" 2>&1 &
talk=$!
pids[4]=$talk
sleep 4
echo "fw1 is killed"
kill -9 "${pids[1]}"
wait "${pids[1]}" 2>/dev/null || true
sleep 4
echo "fw1 comes back"
firewall 1 64
rc=0
wait "$talk" || rc=$?
unset "pids[4]"
cat "$tmp/talk.log"
grep -h "to=MASTER" "$tmp/fw1.log" "$tmp/fw2.log" | sed 's/ level=INFO msg=carp//' | sort
exit "$rc"
