package keygate

import (
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// The library is given every value with its source: it finds the deciding one wherever it stands among
// those that are gathered, and takes no other for it.
func TestEveryValueIsGiven(t *testing.T) {
	policy, err := New(Config{APIKey: NewSecret("right")})
	if err != nil {
		t.Fatal(err)
	}
	turned := *policy.made
	turned.sources = slices.Clone(turned.sources)
	slices.Reverse(turned.sources)
	for before := range 9 {
		for after := range 3 {
			for _, right := range []bool{true, false} {
				deciding, other := "Bearer right", "wrong"
				if !right {
					deciding, other = "Bearer wrong", "right"
				}
				others := func(n int) []string { return slices.Repeat([]string{strings.Clone(other)}, n) }
				h := http.Header{
					"X-Goog-Api-Key": others(before / 2),
					"X-Api-Key":      others(before - before/2),
					"Authorization":  append([]string{strings.Clone(deciding)}, others(after)...),
				}
				for _, m := range []*made{policy.made, &turned} {
					if d := (&Policy{m}).Decide("GET", "/", h); d.Allow != right || !d.BearerStripped {
						t.Errorf("%d before, %d after: %+v", before, after, d)
					}
				}
			}
		}
	}
	runtime.KeepAlive(policy)
}
