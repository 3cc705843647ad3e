module github.com/softnet-go/softnet

go 1.25.0

require (
	github.com/gaissmai/bart v0.30.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/atomic v1.12.0
	golang.org/x/sync v0.22.0
	pgregory.net/rapid v1.3.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
