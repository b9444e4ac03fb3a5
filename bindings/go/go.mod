module github.com/keygate/keygate/bindings/go

go 1.24
