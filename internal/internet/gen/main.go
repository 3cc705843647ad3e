package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/softnet-go/softnet/internal/internet"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FILE")
	}
	ps, err := source()
	if err != nil {
		log.Fatal(err)
	}
	stored, err := internet.Encode(ps)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], stored, 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d prefixes in %d bytes\n", os.Args[1], len(ps), len(stored))
}

func source() (ps []netip.Prefix, err error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gaissmai/bart").Output()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "internal/tests/testdata/prefixes.txt.gz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		p, err := netip.ParsePrefix(lines.Text())
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, lines.Err()
}
