package keygate

import (
	"runtime"
	"testing"
	"time"
)

// The keys are gone once the last copy of a policy is, and no sooner.
func TestWipe(t *testing.T) {
	first, err := New(Config{APIKey: NewSecret("k")})
	if err != nil {
		t.Fatal(err)
	}
	storage, second := first.made.storage, *first
	first = nil
	runtime.GC()
	time.Sleep(20 * time.Millisecond)
	if d := second.Decide("GET", "/", map[string][]string{"X-Api-Key": {"k"}}); !d.Allow {
		t.Fatalf("the copy does not work: %+v", d)
	}
	for range 100 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
		wiped := true
		for _, word := range storage.opaque {
			wiped = wiped && word == 0
		}
		if wiped {
			return
		}
	}
	t.Fatal("the keys are still there")
}
