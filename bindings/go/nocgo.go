//go:build !cgo

package keygate

// The one error of a build without cgo, in place of one for each name of this package.
const _ int = "keygate needs cgo: set CGO_ENABLED=1 and install a C compiler; see README.md"
