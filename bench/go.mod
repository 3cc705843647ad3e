module github.com/softnet-go/softnet/bench

go 1.25.0

require (
	github.com/puzpuzpuz/xsync/v4 v4.5.0
	github.com/softnet-go/softnet v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/softnet-go/softnet => ../
