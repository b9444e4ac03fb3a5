package keygate

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
)

// Gate holds the policy in force and swaps it while requests are served: each request is decided
// by one policy or the other. A zero Gate denies everything.
type Gate struct {
	policy atomic.Pointer[Policy]
}

// NewGate makes a gate with a policy of its own.
func NewGate(config Config) (*Gate, error) {
	gate := new(Gate)
	return gate, gate.Reload(config)
}

// Reload makes a policy and puts it in force. On an error the one in force stays.
func (g *Gate) Reload(config Config) error {
	policy, err := New(config)
	if err == nil {
		g.Swap(policy)
	}
	return err
}

// Swap puts a policy in force.
func (g *Gate) Swap(policy *Policy) { g.policy.Store(policy) }

// Policy gives the policy in force. It is nil, and denies, where none was put in force.
func (g *Gate) Policy() *Policy { return g.policy.Load() }

// Middleware guards next by the policy in force. See Handler.
func (g *Gate) Middleware(next http.Handler) http.Handler { return &Handler{Gate: g, Next: next} }

// Middleware guards next. See Handler.
func (p *Policy) Middleware(next http.Handler) http.Handler {
	gate := new(Gate)
	gate.Swap(p)
	return gate.Middleware(next)
}

// Handler answers denied requests with 401 and hands the others to Next, without the headers that
// may carry a credential, and with the decision in their context.
type Handler struct {
	Gate *Gate
	Next http.Handler
	// KeepCredentials leaves the credential headers in the request.
	KeepCredentials bool
	// OnDecision, where it is set, is told of each decision before it is carried out. The request
	// is as received: it must not be changed, nor logged whole.
	OnDecision func(*http.Request, *Policy, Decision)
}

type contextKey struct{}

// FromContext gives the decision by which a Handler let a request pass. A handler that must know
// that a key was presented compares its Reason with KeyMatched.
func FromContext(ctx context.Context) (Decision, bool) {
	decision, ok := ctx.Value(contextKey{}).(Decision)
	return decision, ok
}

// ServeHTTP guards Next.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	policy := h.Gate.Policy()
	decision := policy.DecideRequest(r)
	if h.OnDecision != nil {
		h.OnDecision(r, policy, decision)
	}
	if !decision.Allow {
		w.Header().Set("WWW-Authenticate", decision.Challenge())
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, decision.Body())
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), contextKey{}, decision))
	if !h.KeepCredentials {
		r.Header = r.Header.Clone()
		policy.StripCredentials(r.Header)
		if policy.CarriesCredential("Host") {
			r.Host = ""
		}
	}
	h.Next.ServeHTTP(w, r)
}
