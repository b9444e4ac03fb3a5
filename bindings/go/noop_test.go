//go:build cgo

package keygate_test

import (
	"testing"

	"github.com/keygate/keygate/bindings/go/internal/noop"
)

func BenchmarkCgoNoop(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		noop.Call()
	}
}
