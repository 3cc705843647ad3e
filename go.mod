module github.com/softnet-go/softnet

go 1.25.0
