module github.com/softnet-go/softnet/contrib/linux

go 1.25.0

require (
	github.com/mdlayher/packet v1.1.2
	github.com/softnet-go/softnet v0.0.0
	github.com/stretchr/testify v1.12.1
	github.com/vishvananda/netlink v1.3.1
	github.com/vishvananda/netns v0.0.5
	golang.org/x/net v0.50.0
	golang.org/x/sys v0.41.0
)

require (
	github.com/gaissmai/bart v0.30.0 // indirect
	github.com/josharian/native v1.1.0 // indirect
	github.com/mdlayher/socket v0.4.1 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.22.0 // indirect
)

replace github.com/softnet-go/softnet => ../../
