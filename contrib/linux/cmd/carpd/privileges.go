package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dropPrivileges leaves the process CAP_NET_ADMIN, if it has it, for addresses; and its commands no
// more than that and CAP_NET_RAW. Both are per thread, so the runtime has to do it in all: it
// cannot in a program with cgo.
func dropPrivileges() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&hdr, &have[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	if have[0].Permitted&(1<<unix.CAP_SETPCAP) != 0 {
		for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
			if c == unix.CAP_NET_ADMIN || c == unix.CAP_NET_RAW {
				continue
			}
			_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
			if errno != 0 && errno != unix.EINVAL { // one that this kernel does not know
				return fmt.Errorf("drop capability %d: %w", c, errno)
			}
		}
	}
	keep := have[0].Permitted & (1 << unix.CAP_NET_ADMIN)
	want := [2]unix.CapUserData{{Effective: keep, Permitted: keep}}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&want[0])), 0)
	if errno != 0 {
		return fmt.Errorf("capset: %w", errno)
	}
	return nil
}
