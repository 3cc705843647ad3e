package linux

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Link is an interface as the machine's own stack has it, by rtnetlink(7). Safe for concurrent
// use.
type Link struct {
	index int
	name  string
}

// FindLink returns the link of a name.
func FindLink(name string) (*Link, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("linux: %s: %w", name, err)
	}
	return &Link{index: l.Attrs().Index, name: name}, nil
}

// IsUp reports whether the link is up and has a carrier.
func (l *Link) IsUp() (bool, error) {
	link, err := netlink.LinkByIndex(l.index)
	if err != nil {
		return false, fmt.Errorf("linux: %s: %w", l.name, err)
	}
	return running(link.Attrs()), nil
}

func running(a *netlink.LinkAttrs) bool {
	return a.Flags&net.FlagUp != 0 && a.RawFlags&unix.IFF_RUNNING != 0
}

// Watch tells whether the link is up, now and each time the kernel has something to say about it,
// until stop is closed. A link that has been deleted is down. What the kernel has told while nobody
// had time to listen is asked for again.
func (l *Link) Watch(stop <-chan struct{}, tell func(up bool)) error {
	ch, err := l.subscribe(stop)
	if err != nil {
		return err
	}
	go func() {
		for {
			for u := range ch {
				if u.Attrs().Index == l.index {
					tell(u.Header.Type != unix.RTM_DELLINK && running(u.Attrs()))
				}
			}
			for again := true; again; again = err != nil { // it has closed the channel
				select {
				case <-stop:
					return
				case <-time.After(retry):
					ch, err = l.subscribe(stop)
				}
			}
		}
	}()
	return nil
}

// retry is how long Watch waits before it subscribes again.
const retry = 100 * time.Millisecond

func (l *Link) subscribe(stop <-chan struct{}) (<-chan netlink.LinkUpdate, error) {
	ch := make(chan netlink.LinkUpdate, 16)
	err := netlink.LinkSubscribeWithOptions(ch, stop, netlink.LinkSubscribeOptions{ListExisting: true})
	if err != nil {
		return nil, fmt.Errorf("linux: watch %s: %w", l.name, err)
	}
	return ch, nil
}

// Addrs returns the addresses of the link.
func (l *Link) Addrs() (as []netip.Prefix, err error) {
	link, err := netlink.LinkByIndex(l.index)
	if err != nil {
		return nil, fmt.Errorf("linux: %s: %w", l.name, err)
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("linux: addresses of %s: %w", l.name, err)
	}
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			ones, _ := a.Mask.Size()
			as = append(as, netip.PrefixFrom(addr.Unmap(), ones))
		}
	}
	return as, nil
}

// AddAddr gives the link an address as a host route, usable at once: nobody is asked whether it
// is in use. That it is there already is no error.
func (l *Link) AddAddr(a netip.Addr) error {
	addr := host(a)
	if a.Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	err := netlink.AddrReplace(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: l.index}}, addr)
	if err != nil {
		return fmt.Errorf("linux: add %v to %s: %w", a, l.name, err)
	}
	return nil
}

// RemoveAddr takes an address away. That it is not there is no error.
func (l *Link) RemoveAddr(a netip.Addr) error {
	err := netlink.AddrDel(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: l.index}}, host(a))
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("linux: remove %v from %s: %w", a, l.name, err)
	}
	return nil
}

func host(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}}
}
