package carp

import (
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/ifnet"
)

// A State is what a virtual host is; an unknown one prints as State(9).
//
//	INIT ──up──▶ BACKUP ──adverts stop, or are worse──▶ MASTER
//	 ▲             ▲ └────────── better advert ◀──────────┘ │
//	 └─────────────┴── down, link down, address added ──────┘
type State uint8

const (
	Init   State = iota // takes no part
	Backup              // listens
	Master              // has the addresses, and advertises
)

// String returns the state as the protocol's tools print it.
func (s State) String() string {
	switch s {
	case Init:
		return "INIT"
	case Backup:
		return "BACKUP"
	case Master:
		return "MASTER"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// An Event is what happens to a device or a virtual host.
type Event interface{ event() }

type (
	// Tick says that time has passed: every timer that is due fires. It does no harm when none is.
	Tick struct{}
	// Heard is an advertisement that has passed every check: see [Parent.Input].
	Heard struct {
		Family Family
		Advert Advert
	}
	// Up is the administrator's wish.
	Up struct{}
	// Down is too. A master that is taken down bows out.
	Down struct{}
	// LinkUp tells that the parent can send and receive.
	LinkUp struct{}
	// LinkDown tells that it cannot: so a master does not bow out.
	LinkDown struct{}
	// AddAddr adds a virtual address, and brings the device up; its nodes begin anew as backups.
	AddAddr struct{ Addr netip.Addr }
	// RemoveAddr removes one. With the last one the device goes down.
	RemoveAddr struct{ Addr netip.Addr }
	// Force is the administrator's choice of Backup or Master.
	Force struct{ State State }
	// Advertise makes every master send at once: see [Demoted].
	Advertise struct{}
	// Sent tells what became of one advertisement. Errors that wrap mbuf.ErrNoBufs are counted
	// but are no sign of a bad link. That a unicast peer does not answer is no error.
	Sent struct {
		Family Family
		Err    error
	}
	// Demote adds to the device's groups, as the administrator or another protocol does.
	Demote struct {
		By     int
		Reason string
	}
	// Detach is the end: the parent leaves, or the device is destroyed. It bows out of nothing.
	Detach struct{}
)

func (Tick) event()       {}
func (Heard) event()      {}
func (Up) event()         {}
func (Down) event()       {}
func (LinkUp) event()     {}
func (LinkDown) event()   {}
func (AddAddr) event()    {}
func (RemoveAddr) event() {}
func (Force) event()      {}
func (Advertise) event()  {}
func (Sent) event()       {}
func (Demote) event()     {}
func (Detach) event()     {}

// An Action is what has to be done, in order, with no lock held.
type Action interface{ action() }

type (
	// Send sends an advertisement, and tells the device with Sent what became of it. If there is no
	// memory for it, what else the device wanted to send at that moment is not sent either.
	Send struct {
		VHost  *VHost
		Family Family
		Advert Advert
	}
	// Announce tells everybody that an address is at a link address now: in IPv4 with an ARP request
	// for it, by broadcast, that has it as sender too; in IPv6 with an unsolicited neighbour
	// advertisement to ff02::1 that overrides.
	Announce struct {
		Addr netip.Addr
		MAC  ifnet.MAC
	}
	// Transition tells that a virtual host has changed its state. Routes and addresses follow.
	Transition struct {
		VHost    *VHost
		From, To State
		Why      string
	}
	// Demoted tells that the device's groups were changed. With All every device in the stack
	// must be told to [Advertise], one after the other, once this device's actions are done.
	Demoted struct {
		By     int
		Reason string
		All    bool
	}
)

func (Send) action()       {}
func (Announce) action()   {}
func (Transition) action() {}
func (Demoted) action()    {}
