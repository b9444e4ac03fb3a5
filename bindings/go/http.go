package keygate

import (
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/keygate/keygate/bindings/go/internal/answer"
)

// Gate holds the policy in force and swaps it while requests are served: each request is decided
// by one policy or the other. A nil or zero Gate denies everything.
type Gate struct {
	policy atomic.Pointer[Policy]
}

// NewGate makes a gate with a policy of its own.
func NewGate(config Config) (*Gate, error) {
	gate := new(Gate)
	return gate, gate.Reload(config)
}

// Reload makes a policy and puts it in force. On an error the one in force stays.
func (g *Gate) Reload(config Config) error { return g.swapTo(New(config)) }

// ReloadJSON does the same by Parse.
func (g *Gate) ReloadJSON(json []byte, keys ...Key) error { return g.swapTo(Parse(json, keys...)) }

func (g *Gate) swapTo(policy *Policy, err error) error {
	if err == nil {
		g.Swap(policy)
	}
	return err
}

// Swap puts a policy in force.
func (g *Gate) Swap(policy *Policy) { g.policy.Store(policy) }

// Policy gives the policy in force. It is nil, and denies, where none was put in force.
func (g *Gate) Policy() *Policy {
	if g == nil {
		return nil
	}
	return g.policy.Load()
}

// Middleware guards next by the policy in force. See Handler.
func (g *Gate) Middleware(next http.Handler) http.Handler { return &Handler{Gate: g, Next: next} }

// Middleware guards next. See Handler.
func (p *Policy) Middleware(next http.Handler) http.Handler {
	gate := new(Gate)
	gate.Swap(p)
	return gate.Middleware(next)
}

// Handler answers denied requests with 401 and hands the others to Next, without the headers and
// trailers that must not be forwarded, with the identity header, and with the decision in their
// context. The headers that Next gets are its own.
//
// A denial does not wait for the request's body. What comes of it within 5 seconds is read, so that
// the client can use the connection again, and then the connection is closed.
type Handler struct {
	// Gate decides. Nil denies everything.
	Gate *Gate
	// Next serves what was allowed. Without it, that is answered with 500.
	Next http.Handler
	// OnDecision, where it is set, is told of each decision before it is carried out. The request
	// is as received: it must not be changed, nor logged whole.
	OnDecision func(*http.Request, *Policy, Decision)
	// OnDeny, where it is set, writes another answer to a denied request than Decision.Body. The
	// headers of a denial are set already, and the status is 401 unless it writes another. It gets
	// the request without a body, and must not have it served by anybody else. What it writes is
	// sent when it returns.
	OnDeny func(http.ResponseWriter, *http.Request, Decision)
}

type contextKey struct{}

// NewContext puts a decision where FromContext finds it: for tests of handlers that stand behind a
// Handler, without one.
func NewContext(ctx context.Context, decision Decision) context.Context {
	return context.WithValue(ctx, contextKey{}, decision)
}

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
	switch {
	case !decision.Allow:
		h.deny(w, r, policy, decision)
		return
	case h.Next == nil:
		answer.JSON(w, r, http.StatusInternalServerError, `{"error":{"message":"There is no service behind this gate.","type":"api_error","code":"no_service"}}`)
		return
	}
	r = policy.dropping(decision).forwarded(r, decision)
	if name, label := policy.Identity(decision); name != "" {
		r.Header.Set(name, label)
	}
	h.Next.ServeHTTP(w, r)
}

func (h *Handler) deny(w http.ResponseWriter, r *http.Request, policy *Policy, decision Decision) {
	for name, values := range policy.DenialHeader(decision) {
		if name == "Vary" { // of others too
			values = append(w.Header()[name], values...)
		}
		w.Header()[name] = values
	}
	if h.OnDeny == nil {
		answer.Send(w, r, http.StatusUnauthorized, decision.Body())
		return
	}
	// Kept until it is whole, so that the answer need not wait for the request's body.
	own := ownDenial{header: w.Header()}
	without := r.WithContext(r.Context())
	without.Body = http.NoBody
	h.OnDeny(&own, without, decision)
	answer.Send(w, r, cmp.Or(own.status, http.StatusUnauthorized), own.body.String())
}

// ownDenial is what an OnDeny writes.
type ownDenial struct {
	header http.Header
	status int
	body   strings.Builder
}

func (o *ownDenial) Header() http.Header { return o.header }

func (o *ownDenial) WriteHeader(status int) {
	if o.status == 0 && status >= http.StatusOK {
		o.status = status
	}
}

func (o *ownDenial) Write(part []byte) (int, error) {
	o.WriteHeader(http.StatusUnauthorized)
	return o.body.Write(part)
}

// Strip removes from h what must not be forwarded after this decision, under any spelling, and its
// names from Connection. Trailers are headers too, once the body has been read; a Handler sees to
// them.
func (p *Policy) Strip(d Decision, h http.Header) {
	p.dropping(d).strip(h)
}

// dropping says whether a header is not to be forwarded.
type dropping func(name, value string) bool

func (p *Policy) dropping(d Decision) dropping {
	return func(name, value string) bool { return p.Drops(d, name, value) }
}

// forwarded is the request as the next handler gets it.
func (drops dropping) forwarded(r *http.Request, decision Decision) *http.Request {
	in := r
	r = r.WithContext(NewContext(r.Context(), decision))
	r.Header = r.Header.Clone()
	drops.strip(r.Header)
	r.Trailer = in.Trailer.Clone()
	drops.strip(r.Trailer)
	if in.Trailer == nil && in.ContentLength >= 0 || in.Body == nil || in.Body == http.NoBody {
		return r // no more will come
	}
	// net/http fills in.Trailer at the end of the body, with what was announced and what was not.
	r.Body = &body{ReadCloser: in.Body, ended: func() {
		trailer := in.Trailer.Clone()
		drops.strip(trailer)
		if r.Trailer == nil {
			r.Trailer = trailer
		} else {
			maps.Copy(r.Trailer, trailer)
		}
	}}
	return r
}

// body tells of its end, once.
type body struct {
	io.ReadCloser
	once  sync.Once
	ended func()
}

func (b *body) Read(to []byte) (int, error) {
	n, err := b.ReadCloser.Read(to)
	if err == io.EOF {
		b.once.Do(b.ended)
	}
	return n, err
}

// Close may read to the end.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.ended)
	return err
}

func (drops dropping) strip(h http.Header) {
	// The options of Connection first, which go with the headers that they name.
	for name, values := range h {
		if strings.EqualFold(name, "Connection") && !drops(name, "") {
			put(h, name)(drops.options(h, values))
		}
	}
	for name, values := range h {
		put(h, name)(drops.values(name, values))
		if len(values) == 0 && drops(name, "") {
			delete(h, name)
		}
	}
	// The protocol of an extended CONNECT, which is an upgrade too.
	if protocol, there := h[":protocol"]; there && drops("Upgrade", strings.Join(protocol, ",")) {
		delete(h, ":protocol")
	}
}

// put puts what is kept of a header in its place.
func put(h http.Header, name string) func(kept []string, fewer bool) {
	return func(kept []string, fewer bool) {
		switch {
		case fewer && len(kept) > 0:
			h[name] = kept
		case fewer:
			delete(h, name)
		}
	}
}

// whole says whether nothing of a header is kept, whatever its values; one that is not there has none.
func (drops dropping) whole(h http.Header, name string) bool {
	values := h[http.CanonicalHeaderKey(name)]
	if len(values) == 0 {
		return drops(name, "")
	}
	kept, _ := drops.values(name, values)
	return len(kept) == 0
}

// values are those that are kept, in a list of their own where there are fewer.
func (drops dropping) values(name string, values []string) (kept []string, fewer bool) {
	dropped := func(value string) bool { return drops(name, value) }
	first := slices.IndexFunc(values, dropped)
	if first < 0 {
		return values, false
	}
	kept = slices.Clone(values[first+1:])
	return append(slices.Clone(values[:first]), slices.DeleteFunc(kept, dropped)...), true
}

// options are the values of Connection without the names of what is dropped.
func (drops dropping) options(h http.Header, values []string) (kept []string, fewer bool) {
	names := func(value string) bool {
		for option := range strings.FieldsFuncSeq(value, between) {
			if drops.whole(h, option) {
				return true
			}
		}
		return false
	}
	if !slices.ContainsFunc(values, names) {
		return values, false
	}
	for _, value := range values {
		if !names(value) {
			kept = append(kept, value)
			continue
		}
		options := strings.FieldsFunc(value, between)
		if options = slices.DeleteFunc(options, func(option string) bool { return drops.whole(h, option) }); len(options) > 0 {
			kept = append(kept, strings.Join(options, ", "))
		}
	}
	return kept, true
}

// between says what stands between options. Where that is white space alone they are no options, but
// somebody may read them as such.
func between(c rune) bool { return c == ',' || c == ' ' || c == '\t' }
