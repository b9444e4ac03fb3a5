package peers

import (
	"net/http"
	"testing"
	"time"

	"github.com/keygate/keygate/bindings/go"
)

// decide times decisions by the policy that a gate has in force.
func decide(b *testing.B, gate *keygate.Gate, r *http.Request) {
	b.ReportAllocs()
	for b.Loop() {
		if !gate.Policy().DecideRequest(r).Allow {
			b.Fatal("denied")
		}
	}
}

// BenchmarkKeygateGate is a decision by the policy in force.
func BenchmarkKeygateGate(b *testing.B) {
	var gate keygate.Gate
	gate.Swap(policy(b))
	decide(b, &gate, request())
}

// BenchmarkKeygateGateSwapped is the same while another goroutine swaps policies, 1000 a second.
func BenchmarkKeygateGateSwapped(b *testing.B) {
	var gate keygate.Gate
	policies := [2]*keygate.Policy{policy(b), policy(b)}
	gate.Swap(policies[0])
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				gate.Swap(policies[i%2])
			}
		}
	}()
	decide(b, &gate, request())
	close(stop)
	<-stopped
}
