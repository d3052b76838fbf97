package egress

import "net/netip"

// block is a range of addresses that are not public.
type block struct {
	prefix netip.Prefix
	what   string
	whatZH string
}

// blocks are the ranges of addresses that are not public, the most telling first. What is
// outside of 2000::/3 is not public either.
//
// Source: IANA, special-purpose address registries for IPv4 and IPv6, read 2026-11.
func blocks() []block {
	list := func(what, whatZH string, prefixes ...string) []block {
		var all []block
		for _, prefix := range prefixes {
			all = append(all, block{netip.MustParsePrefix(prefix), what, whatZH})
		}
		return all
	}
	var all []block
	all = append(all, list("this machine", "本机", "0.0.0.0/8", "127.0.0.0/8", "::/127")...)
	all = append(all, list("a private network", "私有网络", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")...)
	all = append(all, list("the network of a provider (CGNAT)", "运营商内部网络（CGNAT）", "100.64.0.0/10")...)
	all = append(all, list("the local link", "链路本地地址", "169.254.0.0/16", "fe80::/10")...)
	all = append(all, list("a multicast group", "组播地址", "224.0.0.0/4", "ff00::/8")...)
	all = append(all, list("reserved", "保留地址", "192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "240.0.0.0/4", "2001::/23", "2620:4f:8000::/48")...)
	all = append(all, list("for examples and benchmarks", "示例或基准测试地址", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")...)
	all = append(all, list("an IPv4 address within an IPv6 address", "内嵌 IPv4 的 IPv6 地址", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "192.88.99.0/24")...)
	return all
}

// metadata are the addresses at which clouds hand credentials to the machines in them.
// One of them stands in public space.
//
// Sources: documentation of Alibaba Cloud, Tencent Cloud, AWS, Google Cloud, Azure and
// Oracle Cloud, the pages on instance metadata, read 2026-11.
func metadata() map[netip.Addr]bool {
	all := make(map[netip.Addr]bool)
	for _, addr := range []string{
		"100.100.100.200",                 // Alibaba Cloud
		"169.254.0.23",                    // Tencent Cloud
		"169.254.169.254",                 // AWS, Google Cloud, Azure, Tencent Cloud, Huawei Cloud and others
		"169.254.170.2", "169.254.170.23", // AWS, containers
		"fd00:ec2::254", "fd00:ec2::23", // AWS
		"fd20:ce::254",  // Google Cloud
		"168.63.129.16", // Azure
		"192.0.0.192",   // Oracle Cloud
	} {
		all[netip.MustParseAddr(addr)] = true
	}
	return all
}

// check reports why an address must not be connected to.
func (g *Guard) check(addr netip.Addr) error {
	addr = addr.Unmap()
	if g.checkAllowed(addr) == nil {
		return nil
	}
	what, whatZH := "", ""
	if g.metadata[addr] {
		what, whatZH = "the metadata service of a cloud", "云平台元数据服务"
	}
	for _, b := range g.blocks {
		if what == "" && b.prefix.Contains(addr) {
			what, whatZH = b.what, b.whatZH
		}
	}
	if what == "" && addr.Is6() && (addr.As16()[0]>>5 != 1 || addr.Zone() != "") { // outside of 2000::/3
		what, whatZH = "no unicast address of the internet", "不是互联网单播地址"
	}
	if what == "" {
		return nil
	}
	return blocked("the address "+addr.String()+" is not public: "+what, "地址 "+addr.String()+" 不是公网地址："+whatZH)
}

// checkAllowed reports why an address is not one of the allowed networks'.
func (g *Guard) checkAllowed(addr netip.Addr) error {
	addr = addr.Unmap()
	within := false
	for _, prefix := range g.allow {
		if prefix.Contains(addr) {
			if prefix.IsSingleIP() {
				return nil
			}
			within = true
		}
	}
	inner, isTranslated := translated(addr)
	if !within || g.metadata[addr] || isTranslated && g.check(inner) != nil {
		return blocked("the address "+addr.String()+" is not in an allowed network", "地址 "+addr.String()+" 不在允许的网络内")
	}
	return nil
}

// translated returns the IPv4 address to which a gateway passes on what is sent to an
// IPv6 address: IPv4-compatible and -translated, NAT64, 6to4.
func translated(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() || addr.IsLoopback() || addr.IsUnspecified() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	switch {
	case netip.MustParsePrefix("2002::/16").Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case netip.MustParsePrefix("::/96").Contains(addr), netip.MustParsePrefix("::ffff:0:0:0/96").Contains(addr),
		netip.MustParsePrefix("64:ff9b::/96").Contains(addr), netip.MustParsePrefix("64:ff9b:1::/48").Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:])), true
	}
	return netip.Addr{}, false
}
