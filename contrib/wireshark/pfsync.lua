-- A Wireshark dissector for pfsync, wire version 6 (OpenBSD since 2023), IP protocol 240.
--
--   tshark -X lua_script:pfsync.lua -r FILE.pcap -V
--
-- Messages are found by the length that a section gives, so what a later version adds is passed over.
-- What cannot be is marked as malformed, in the packet list too.

local pfsync = Proto("pfsync", "OpenBSD pfsync")

local actions = {
	[0] = "CLR", "OINS", "INS_ACK", "OUPD", "UPD_C", "UPD_REQ", "DEL", "DEL_C",
	"INS_F", "DEL_F", "BUS", "OTDB", "EOF", "INS", "UPD", "TDB",
}
local sizes = { -- of those that are not skipped
	[0] = 20, [2] = 12, [4] = 84, [5] = 12, [6] = 264, [7] = 12, [10] = 12, [13] = 264, [14] = 264, [15] = 52,
}
local directions = { "in", "out" }
local statuses = { "start", "end" }
local families = { [2] = "IPv4", [24] = "IPv6" }
local protocols = { [1] = "icmp", [6] = "tcp", [17] = "udp", [50] = "esp", [51] = "ah", [58] = "icmp6" }
local timeouts = {
	[0] = "tcp.first", "tcp.opening", "tcp.established", "tcp.closing", "tcp.finwait", "tcp.closed",
	"udp.first", "udp.single", "udp.multiple", "icmp.first", "icmp.error",
	"other.first", "other.single", "other.multiple", "frag", "interval",
	"adaptive.start", "adaptive.end", "src.track", "ts.diff", "max", "purge", "unlinked",
}
local flags = {
	{ 0x0001, "allow-opts" }, { 0x0002, "sloppy" }, { 0x0004, "pflow" }, { 0x0008, "nosync" }, { 0x0010, "ack" },
	{ 0x0020, "no-df" }, { 0x0040, "set-tos" }, { 0x0080, "random-id" }, { 0x0100, "scrub-tcp" }, { 0x0200, "set-prio" },
	{ 0x0400, "inp-unlinked" },
}

local f = {}
local function field(kind, name, title, ...)
	f[name] = ProtoField[kind]("pfsync." .. name, title, ...)
end

field("uint8", "version", "Version")
field("uint16", "len", "Length")
field("bytes", "pfcksum", "Ruleset checksum")
field("uint8", "action", "Action", base.DEC, actions)
field("uint8", "words", "Message length, words")
field("uint16", "count", "Messages")
field("bytes", "skipped", "Skipped")
field("bytes", "extra", "From a later version")
field("uint64", "id", "ID", base.HEX)
field("uint32", "creatorid", "Creator", base.HEX)
field("stringz", "ifname", "Interface")
field("uint32", "bus.endtime", "End time")
field("uint8", "bus.status", "Status", base.DEC, statuses)
for _, which in ipairs({ "wire", "stack" }) do
	for i = 0, 1 do
		field("ipv4", which .. ".addr" .. i, "Address " .. i)
		field("ipv6", which .. ".addr6" .. i, "Address " .. i)
		field("uint16", which .. ".port" .. i, "Port " .. i)
	end
	field("uint16", which .. ".rdomain", "Routing domain")
	field("uint8", which .. ".af", "Family", base.DEC, families)
end
for _, which in ipairs({ "src", "dst" }) do
	field("uint16", which .. ".scrub.flags", "Scrub flags", base.HEX)
	field("uint8", which .. ".scrub.ttl", "Scrub TTL")
	field("uint8", which .. ".scrub.valid", "Scrub valid")
	field("uint32", which .. ".scrub.ts_mod", "Scrub timestamp offset", base.HEX)
	field("uint32", which .. ".seqlo", "Sequence, low")
	field("uint32", which .. ".seqhi", "Sequence, high")
	field("uint32", which .. ".seqdiff", "Sequence offset")
	field("uint16", which .. ".max_win", "Largest window")
	field("uint16", which .. ".mss", "MSS")
	field("uint8", which .. ".state", "Level")
	field("uint8", which .. ".wscale", "Window scale", base.HEX)
end
field("ipv4", "rt_addr", "Route to")
field("ipv6", "rt_addr6", "Route to")
field("int32", "rule", "Rule")
field("int32", "anchor", "Anchor")
field("int32", "nat_rule", "NAT rule")
field("uint32", "creation", "Age, s")
field("uint32", "expire", "Expires in, s")
field("uint64", "packets0", "Packets in its direction")
field("uint64", "packets1", "Packets against it")
field("uint64", "bytes0", "Bytes in its direction")
field("uint64", "bytes1", "Bytes against it")
field("int32", "rtableid0", "Routing table, wire")
field("int32", "rtableid1", "Routing table, stack")
field("uint16", "max_mss", "Largest MSS")
field("uint8", "af", "Family", base.DEC, families)
field("uint8", "proto", "Protocol", base.DEC, protocols)
field("uint8", "direction", "Direction", base.DEC, directions)
field("uint8", "log", "Log")
field("uint8", "rt", "Route kind")
field("uint8", "timeout", "Timeout", base.DEC, timeouts)
field("uint8", "sync_flags", "Sync flags", base.HEX)
field("uint8", "updates", "Updates")
field("uint8", "min_ttl", "Least TTL")
field("uint8", "set_tos", "Set TOS", base.HEX)
field("uint16", "state_flags", "Flags", base.HEX)
field("uint8", "set_prio0", "Set priority 0")
field("uint8", "set_prio1", "Set priority 1")
field("uint32", "tdb.spi", "SPI", base.HEX)
field("uint8", "tdb.sa_len", "Length of the address")
field("uint8", "tdb.sa_family", "Family", base.DEC, families)
field("ipv4", "tdb.dst", "Destination")
field("ipv6", "tdb.dst6", "Destination")
field("uint64", "tdb.rpl", "Last sequence number")
field("uint64", "tdb.cur_bytes", "Bytes")
field("uint8", "tdb.sproto", "Protocol", base.DEC, protocols)
field("uint8", "tdb.updates", "Updates")
field("uint16", "tdb.rdomain", "Routing domain")

local all = {}
for _, v in pairs(f) do
	all[#all + 1] = v
end
pfsync.fields = all

local bad = ProtoExpert.new("pfsync.bad", "Malformed pfsync", expert.group.MALFORMED, expert.severity.ERROR)
local odd = ProtoExpert.new("pfsync.value", "Impossible value", expert.group.PROTOCOL, expert.severity.WARN)
pfsync.experts = { bad, odd }

local function name(list, n) return list[n] or tostring(n) end

local function address(t, prefix, suffix, b, af)
	if af ~= 2 then
		t:add(f[prefix .. "6" .. suffix], b)
		return tostring(b:ipv6())
	end
	t:add(f[prefix .. suffix], b(0, 4))
	return tostring(b(0, 4):ipv4())
end

-- ident adds a message's ID, of which the parts may be apart.
local function ident(t, id, creator)
	t:add(f.id, id)
	t:add(f.creatorid, creator)
	return string.format("%s/%s", tostring(id:bytes()):lower(), tostring(creator:bytes()):lower())
end

local function key(t, which, b, af)
	local own = b(38, 1):uint()
	if own ~= 0 then af = own end
	local s = t:add(b(0, 40), which == "wire" and "Key on the wire" or "Key inside")
	local a0 = address(s, which .. ".addr", "0", b(0, 16), af)
	local a1 = address(s, which .. ".addr", "1", b(16, 16), af)
	s:add(f[which .. ".port0"], b(32, 2))
	s:add(f[which .. ".port1"], b(34, 2))
	s:add(f[which .. ".rdomain"], b(36, 2))
	s:add(f[which .. ".af"], b(38, 1))
	local text = string.format("%s:%d %s:%d", a0, b(32, 2):uint(), a1, b(34, 2):uint())
	s:append_text(": " .. text)
	return text
end

local function peer(t, which, b)
	local s = t:add(b(0, 32), which == "src" and "Source half" or "Other half")
	local function put(n, off, len) s:add(f[which .. "." .. n], b(off, len)) end
	put("scrub.flags", 0, 2)
	put("scrub.ttl", 2, 1)
	put("scrub.valid", 3, 1)
	put("scrub.ts_mod", 4, 4)
	put("seqlo", 8, 4)
	put("seqhi", 12, 4)
	put("seqdiff", 16, 4)
	put("max_win", 20, 2)
	put("mss", 22, 2)
	put("state", 24, 1)
	put("wscale", 25, 1)
	local level = b(24, 1):uint()
	if level > 12 then s:add_proto_expert_info(odd, "Level " .. level) end
	return level
end

local function timeout(t, b)
	t:add(f.timeout, b)
	if b:uint() >= 20 then t:add_proto_expert_info(odd, "Timeout " .. name(timeouts, b:uint())) end
end

local function state(t, b)
	local text = ident(t, b(0, 8), b(236, 4))
	local af = b(250, 1):uint()
	t:add(f.ifname, b(8, 16))
	local wire = key(t, "wire", b(24, 40), af)
	local stack = key(t, "stack", b(64, 40), af)
	local src, dst = peer(t, "src", b(104, 32)), peer(t, "dst", b(136, 32))
	address(t, "rt_addr", "", b(168, 16), af)
	local at = {
		{ "rule", 184, 4 }, { "anchor", 188, 4 }, { "nat_rule", 192, 4 }, { "creation", 196, 4 }, { "expire", 200, 4 },
		{ "packets0", 204, 8 }, { "packets1", 212, 8 }, { "bytes0", 220, 8 }, { "bytes1", 228, 8 },
		{ "rtableid0", 240, 4 }, { "rtableid1", 244, 4 }, { "max_mss", 248, 2 }, { "af", 250, 1 }, { "proto", 251, 1 },
		{ "direction", 252, 1 }, { "log", 253, 1 }, { "rt", 254, 1 },
	}
	for _, x in ipairs(at) do t:add(f[x[1]], b(x[2], x[3])) end
	timeout(t, b(255, 1))
	t:add(f.sync_flags, b(256, 1))
	t:add(f.updates, b(257, 1))
	t:add(f.min_ttl, b(258, 1))
	t:add(f.set_tos, b(259, 1))
	local fl = t:add(f.state_flags, b(260, 2))
	for _, x in ipairs(flags) do
		if bit.band(b(260, 2):uint(), x[1]) ~= 0 then fl:append_text(" " .. x[2]) end
	end
	t:add(f.set_prio0, b(262, 1))
	t:add(f.set_prio1, b(263, 1))
	local direction = b(252, 1):uint()
	if direction > 2 then t:add_proto_expert_info(odd, "Direction " .. direction) end
	if not families[af] then t:add_proto_expert_info(odd, "Family " .. af) end
	local inside = stack ~= wire and " (" .. stack .. ")" or ""
	return string.format("%s %s%s %s %d:%d %s", name(protocols, b(251, 1):uint()), wire, inside, name(directions, direction), src, dst, text)
end

local messages = {
	[0] = function(t, b)
		t:add(f.ifname, b(0, 16))
		t:add(f.creatorid, b(16, 4))
		return "states of " .. tostring(b(16, 4):bytes()):lower()
	end,
	[4] = function(t, b)
		local text = ident(t, b(0, 8), b(72, 4))
		local src, dst = peer(t, "src", b(8, 32)), peer(t, "dst", b(40, 32))
		t:add(f.expire, b(76, 4))
		timeout(t, b(80, 1))
		t:add(f.state_flags, b(81, 1))
		return string.format("%d:%d %s", src, dst, text)
	end,
	[10] = function(t, b)
		t:add(f.creatorid, b(0, 4))
		t:add(f["bus.endtime"], b(4, 4))
		t:add(f["bus.status"], b(8, 1))
		return "bulk " .. name(statuses, b(8, 1):uint()) .. " of " .. tostring(b(0, 4):bytes()):lower()
	end,
	[13] = state,
	[15] = function(t, b)
		t:add(f["tdb.spi"], b(0, 4))
		t:add(f["tdb.sa_len"], b(4, 1))
		t:add(f["tdb.sa_family"], b(5, 1))
		if b(5, 1):uint() == 24 then
			t:add(f["tdb.dst6"], b(12, 16))
		else
			t:add(f["tdb.dst"], b(8, 4))
		end
		t:add(f["tdb.rpl"], b(32, 8))
		t:add(f["tdb.cur_bytes"], b(40, 8))
		t:add(f["tdb.sproto"], b(48, 1))
		t:add(f["tdb.updates"], b(49, 1))
		t:add(f["tdb.rdomain"], b(50, 2))
		return "SPI 0x" .. tostring(b(0, 4):bytes()):lower()
	end,
}
messages[6], messages[14] = state, state
local function only_ident(t, b) return ident(t, b(0, 8), b(8, 4)) end
messages[2], messages[5], messages[7] = only_ident, only_ident, only_ident

-- section takes one, and returns where the next begins, or nil if there is no way to go on.
local function section(tree, b, off, words)
	local action, stride, count = b(off, 1):uint(), 4 * b(off + 1, 1):uint(), b(off + 2, 2):uint()
	local size = sizes[action] or 0
	local t = tree:add(b(off, 4), string.format("%s, %d messages", name(actions, action), count))
	t:add(f.action, b(off, 1))
	t:add(f.words, b(off + 1, 1))
	t:add(f.count, b(off + 2, 2))
	words[#words + 1] = name(actions, action) .. " x" .. count
	if (action > 15 or stride < size) and (count == 0 or stride == 0) then
		t:add_proto_expert_info(bad, "An action that can be neither taken nor skipped")
		return nil
	end
	off = off + 4
	local n = stride * count
	if n > b:len() - off then
		t:add_proto_expert_info(bad, "More messages than there is room for")
		return nil
	end
	t:set_len(4 + n)
	if size == 0 or stride < size then
		if n > 0 then t:add(f.skipped, b(off, n)) end
		return off + n
	end
	for i = 0, count - 1 do
		local m = b(off + i * stride, stride)
		local s = t:add(m, name(actions, action))
		local text = messages[action](s, m)
		if stride > size then s:add(f.extra, m(size, stride - size)) end
		s:append_text(": " .. text)
	end
	return off + n
end

function pfsync.dissector(b, pinfo, tree)
	pinfo.cols.protocol = "PFSYNC"
	local t = tree:add(pfsync, b())
	if b:reported_len() < 20 or b:len() < 20 then
		t:add_proto_expert_info(bad, "Shorter than a header")
		pinfo.cols.info = "[short]"
		return
	end
	t:add(f.version, b(0, 1))
	t:add(f.len, b(2, 2))
	t:add(f.pfcksum, b(4, 16))
	local version, len = b(0, 1):uint(), b(2, 2):uint()
	if version ~= 6 then
		t:add_proto_expert_info(bad, "Version " .. version .. ", not 6")
		pinfo.cols.info = "version " .. version
		return
	end
	if len < 20 or len > b:len() then
		t:add_proto_expert_info(bad, "A length of " .. len .. " in " .. b:len() .. " bytes")
		pinfo.cols.info = "[bad length]"
		return
	end
	b = b(0, len):tvb()
	local off, words = 20, {}
	while off and off + 4 <= len do
		off = section(t, b, off, words)
	end
	pinfo.cols.info = table.concat(words, ", ") .. (off and "" or " [malformed]")
end

DissectorTable.get("ip.proto"):add(240, pfsync)
