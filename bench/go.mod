module github.com/softnet-go/softnet/bench

go 1.25.0

require (
	github.com/gaissmai/bart v0.30.0
	github.com/hashicorp/go-immutable-radix/v2 v2.1.0
	github.com/panjf2000/ants/v2 v2.12.1
	github.com/puzpuzpuz/xsync/v4 v4.5.0
	github.com/softnet-go/softnet v0.0.0
	github.com/stretchr/testify v1.12.1
	gvisor.dev/gvisor v0.0.0-20250503011706-39ed1f5ac29c
)

require (
	github.com/google/btree v1.1.2 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.26.0 // indirect
	golang.org/x/time v0.7.0 // indirect
)

replace github.com/softnet-go/softnet => ../
