package keygate

import (
	"net/http"
	"runtime"
	"testing"

	"github.com/keygate/keygate/bindings/go/internal/vectors"
)

// Where the first wanted header does not settle the decision, the library is given all that are wanted.
// Of a policy where it does, that makes no difference.
func TestWholeRequest(t *testing.T) {
	compared := 0
	for _, v := range vectors.Load(t) {
		if v.Want.Error {
			continue
		}
		policy, err := Parse(v.Config)
		if err != nil {
			t.Fatal(err)
		}
		if !policy.made.firstDecides {
			continue // it is given the whole anyway
		}
		shared := *policy.made
		shared.firstDecides = false
		whole := &Policy{&shared}
		h := v.Header()
		if got, want := whole.Decide(v.Method, v.Target, h), policy.Decide(v.Method, v.Target, h); got != want {
			t.Errorf("%s: %+v, want %+v", v.Name, got, want)
		}
		r := &http.Request{Method: v.Method, RequestURI: v.Target, Header: h.Clone(), Host: h.Get("Host")}
		r.Header.Del("Host")
		if got, want := whole.DecideRequest(r), policy.DecideRequest(r); got != want {
			t.Errorf("%s, as a server has it: %+v, want %+v", v.Name, got, want)
		}
		compared++
		runtime.KeepAlive(policy)
	}
	if compared < 900 {
		t.Errorf("only %d vectors", compared)
	}
}
