module github.com/softnet-go/softnet/linearize

go 1.25.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/softnet-go/softnet v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/gaissmai/bart v0.30.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/softnet-go/softnet => ../
