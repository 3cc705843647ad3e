//go:build !(witness || race) || !gc || !(amd64 || arm64)

package witness

func goid() uint64 { return parseGoid() }
