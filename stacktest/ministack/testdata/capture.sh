#!/bin/sh
# Captures what two Linux kernels say to each other: ARP, neighbour discovery, ping and ping6,
# an unreachable port, and a redirect. Writes ping.pcap beside itself. Needs root, iproute2,
# tcpdump and ping; makes its network namespaces and removes them.
set -eu
out=$(cd "$(dirname "$0")" && pwd)/ping.pcap
a=softnet-a-$$ b=softnet-b-$$
cleanup() { ip netns del "$a" 2>/dev/null || :; ip netns del "$b" 2>/dev/null || :; }
trap cleanup EXIT INT TERM
ip netns add "$a"
ip netns add "$b"
ip -n "$a" link add va type veth peer name vb netns "$b"
for n in "$a va 1" "$b vb 2"; do
	set -- $n
	ip netns exec "$1" sysctl -qw "net.ipv6.conf.$2.accept_dad=0" "net.ipv6.conf.$2.router_solicitations=0"
	ip -n "$1" link set "$2" address "02:00:00:00:00:0$3"
	ip -n "$1" addr add "192.0.2.$3/24" dev "$2"
	ip -n "$1" addr add "2001:db8::$3/64" dev "$2" nodad
	ip -n "$1" link set lo up
	ip -n "$1" link set "$2" up
done
# b is a router with a way back out of the interface the packet came by, so it sends redirects.
ip netns exec "$b" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=1 net.ipv4.conf.vb.send_redirects=1
ip -n "$b" route add 198.51.100.0/24 via 192.0.2.77
ip -n "$b" neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev vb
ip -n "$a" route add 198.51.100.0/24 via 192.0.2.2
ip netns exec "$b" tcpdump -q -i vb -s 0 -w "$out" 2>/dev/null &
dump=$!
sleep 1
ip netns exec "$a" ping -q -c 3 -i 0.2 -s 56 192.0.2.2 >/dev/null
ip netns exec "$a" ping -q -c 3 -i 0.2 -s 56 2001:db8::2 >/dev/null
ip netns exec "$a" ping -q -c 1 -s 2000 192.0.2.2 >/dev/null || :
ip netns exec "$a" ping -q -c 1 -W 1 198.51.100.9 >/dev/null || :
ip netns exec "$a" bash -c 'echo x >/dev/udp/192.0.2.2/9' || :
ip netns exec "$a" bash -c 'echo x >/dev/udp/2001:db8::2/9' || :
sleep 6 # until the neighbours are asked again, by unicast
kill "$dump"
wait "$dump" 2>/dev/null || :
