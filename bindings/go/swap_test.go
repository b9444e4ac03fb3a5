package keygate_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keygate/keygate/bindings/go"
)

// beside decides n times in each of two readers while policies are swapped, and says how often.
func beside(t testing.TB, n int, load func() *keygate.Policy, swap func(*keygate.Policy)) (swaps int) {
	policies := [2]*keygate.Policy{
		policyOf(t, `{"auth_mode":"strict","api_key":"key-a"}`),
		policyOf(t, `{"auth_mode":"strict","api_key":"key-b"}`),
	}
	swap(policies[0])
	request := &http.Request{Method: "GET", RequestURI: "/", Header: http.Header{"X-Api-Key": {heap("key-c")}}}
	var left atomic.Int32
	for range 2 {
		left.Add(1)
		go func() {
			defer left.Add(-1)
			reader(t, n, load, request)
		}()
	}
	for left.Load() > 0 {
		swaps++
		swap(policies[swaps%2])
	}
	if swaps < n/100 {
		t.Errorf("only %d swaps", swaps)
	}
	return swaps
}

func reader(t testing.TB, n int, load func() *keygate.Policy, request *http.Request) {
	for i := range n {
		if i%64 == 0 {
			runtime.Gosched() // to the writer, on a machine with one processor
		}
		if load().DecideRequest(request).Reason != keygate.KeyMismatch {
			t.Error("wrong decision")
			return
		}
	}
}

// waits counts how often a reader was held up by a lock or a channel.
func waits(t *testing.T) (count int64) {
	records := make([]runtime.BlockProfileRecord, 1000)
	n, ok := runtime.BlockProfile(records)
	if !ok {
		t.Fatalf("%d records", n)
	}
	for _, record := range records[:n] {
		frames := runtime.CallersFrames(record.Stack())
		for frame, more := frames.Next(); more; frame, more = frames.Next() {
			if strings.HasSuffix(frame.Function, "_test.reader") {
				count += record.Count
			}
		}
	}
	return count
}

// No reader waits for a swap; behind a lock they do.
func TestSwapHoldsUpNoReader(t *testing.T) {
	const decisions = 50_000
	runtime.SetBlockProfileRate(1)
	defer runtime.SetBlockProfileRate(0)
	before := waits(t)
	var gate keygate.Gate
	swaps := beside(t, decisions, gate.Policy, func(next *keygate.Policy) {
		gate.Swap(next)
		runtime.Gosched() // lets readers run, here and below in the middle of a swap
	})
	own := waits(t)
	if own != before {
		t.Errorf("readers waited %d times in %d decisions beside %d swaps", own-before, 2*decisions, swaps)
	}
	t.Logf("%d decisions beside %d swaps: readers waited %d times", 2*decisions, swaps, own-before)

	var lock sync.RWMutex
	var policy *keygate.Policy
	swaps = beside(t, decisions, func() *keygate.Policy {
		lock.RLock()
		defer lock.RUnlock()
		return policy
	}, func(next *keygate.Policy) {
		lock.Lock()
		policy = next
		runtime.Gosched()
		lock.Unlock()
	})
	locked := waits(t) - own
	if locked == 0 {
		t.Errorf("the control: behind a lock, no reader waited in %d decisions beside %d swaps", 2*decisions, swaps)
	}
	t.Logf("the control, behind a lock: %d decisions beside %d swaps: readers waited %d times", 2*decisions, swaps, locked)
}

// The race detector finds a gate that swaps a plain pointer, in a run of its own.
func TestSwapOfPlainPointerIsFound(t *testing.T) {
	const variable = "KEYGATE_TEST_PLAIN_POINTER"
	if os.Getenv(variable) != "" {
		var policy *keygate.Policy
		beside(t, 1000, func() *keygate.Policy { return policy }, func(next *keygate.Policy) { policy = next })
		return
	}
	if !raceEnabled {
		t.Skip("without the race detector")
	}
	command := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	command.Env = append(os.Environ(), variable+"=1")
	output, err := command.CombinedOutput()
	if err == nil || !bytes.Contains(output, []byte("DATA RACE")) {
		t.Errorf("no race was found: %v\n%s", err, output)
	}
}
