// Command talk is a conversation over a TCP connection of the kernel's, for failover.sh.
//
//	talk -listen ADDR:PORT                 says again what it is told
//	talk -for D ADDR:PORT                  says a numbered line each 50 ms, and wants it back
//	talk -offload IF ...                   has IF's checksums computed before anybody sees the packets
//
// The talker prints how many lines came back and the longest silence, and ends with status 1 if the
// connection was lost, or a line.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	listen := flag.String("listen", "", "say again what is told at this `address`")
	d := flag.Duration("for", 10*time.Second, "how long to talk")
	off := flag.String("offload", "", "switch checksum offload of this `interface` off")
	flag.Parse()
	var err error
	if *off != "" {
		err = noOffload(*off)
	}
	switch {
	case err != nil:
	case *listen != "":
		err = echo(*listen)
	case flag.NArg() == 1:
		err = talk(flag.Arg(0), *d)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "talk:", err)
		os.Exit(1)
	}
}

func echo(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			for in := bufio.NewScanner(c); in.Scan(); {
				if _, err := fmt.Fprintln(c, in.Text()); err != nil {
					return
				}
			}
		}()
	}
}

func talk(addr string, d time.Duration) error {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewScanner(c)
	var longest time.Duration
	n, last := 0, time.Now()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		want := fmt.Sprint("line ", n)
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := fmt.Fprintln(c, want); err != nil {
			return err
		}
		if !in.Scan() {
			return fmt.Errorf("the connection was lost after %d lines: %v", n, in.Err())
		}
		if in.Text() != want {
			return fmt.Errorf("said %q, heard %q", want, in.Text())
		}
		n++
		longest = max(longest, time.Since(last))
		last = time.Now()
	}
	fmt.Printf("%d lines came back over one connection, the longest silence was %v\n", n, longest.Round(time.Millisecond))
	return nil
}

// noOffload has the kernel compute checksums itself: a firewall that reads packets with a packet socket
// sees them before a network card would.
func noOffload(ifname string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := struct{ cmd, data uint32 }{unix.ETHTOOL_STXCSUM, 0}
	var ifr struct {
		name [16]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(ifr.name[:15], ifname)
	ifr.data = unsafe.Pointer(&value)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifr))); e != 0 {
		return fmt.Errorf("%s: checksum offload: %w", ifname, e)
	}
	return nil
}
