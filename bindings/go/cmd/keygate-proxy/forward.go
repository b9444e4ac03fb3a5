package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/keygate/keygate/bindings/go"
	"github.com/keygate/keygate/bindings/go/internal/answer"
)

const dialTimeout = 10 * time.Second

// forwarder carries out what the gate allowed.
type forwarder struct {
	proxy  httputil.ReverseProxy
	prefix string
}

func newForwarder(upstream *url.URL, log *slog.Logger) http.Handler {
	f := &forwarder{prefix: strings.TrimSuffix(upstream.EscapedPath(), "/")}
	f.proxy = httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			// In's is the target; of Out's, a copy, net/http has cleaned the query.
			r.Out.URL, r.Out.Host = r.In.URL, ""
			r.Out.URL.Scheme, r.Out.URL.Host = upstream.Scheme, upstream.Host
			r.SetXForwarded()
			if r.In.Host == "" {
				r.Out.Header.Del("X-Forwarded-Host")
			}
		},
		Transport: &http.Transport{
			DialContext:        (&net.Dialer{Timeout: dialTimeout}).DialContext,
			ForceAttemptHTTP2:  true,
			DisableCompression: true, // bodies pass as they are
			// Else two idle connections are kept, and a busy proxy dials for nearly every request.
			MaxIdleConnsPerHost: 256,
			IdleConnTimeout:     idleTimeout,
			TLSHandshakeTimeout: dialTimeout,
		},
		FlushInterval: -1, // streams pass as they come
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) {
				panic(http.ErrAbortHandler) // the client is gone; net/http would answer 200
			}
			// Other errors may quote the request.
			problem := "the request could not be forwarded"
			var network *net.OpError
			switch {
			case errors.As(err, &network):
				problem = network.Error()
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				problem = "the upstream closed the connection"
			}
			log.Error("upstream failed", "error", problem)
			if in, is := r.Context().Value(received{}).(*http.Request); is {
				r = in // with the body as the client sends it
			}
			answer.JSON(w, r, http.StatusBadGateway, `{"error":{"message":"The service behind this proxy cannot be reached.","type":"api_error","code":"bad_gateway"}}`)
		},
	}
	return f
}

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	controller := http.NewResponseController(w)
	target, sound := f.target(r.Method, r.RequestURI)
	if !sound || r.Method == http.MethodConnect {
		answer.JSON(w, r, http.StatusBadRequest, `{"error":{"message":"This request target cannot be forwarded unchanged.","type":"invalid_request_error","code":"bad_target"}}`)
		return
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		answer.JSON(w, r, http.StatusOK, `{"status":"ok"}`)
		return
	}
	out := r.WithContext(context.WithValue(r.Context(), received{}, r))
	out.URL = target
	decision, _ := keygate.FromContext(r.Context())
	keyless := decision.Reason != keygate.KeyMatched && decision.Reason != keygate.AuthOff
	if keyless {
		// Neither a preflight nor a health check has a body. An upstream that reads none would take it
		// for the next request, and one that waits for it would wait as long as a stranger likes.
		out.Body, out.ContentLength, out.TransferEncoding, out.Trailer = http.NoBody, 0, nil, nil
		out.Header.Del("Expect")
	}
	if keyless || !upgrades(r.Header) {
		out.Header.Del("Upgrade")
	}
	out.Header.Del("Http2-Settings") // belongs to an upgrade that is never forwarded
	dropForwarded(out.Header)

	// What the client sends may take as long as it takes, while it is wanted.
	_ = controller.SetReadDeadline(time.Time{})
	// An upstream may answer before it has taken the whole body. Else net/http closes the body with
	// the first byte of the answer, and the transport, still at its end, drops the upstream's.
	_ = controller.EnableFullDuplex()
	answered := false
	defer func() {
		if !answered { // net/http is about to close the connection, once it has read the body
			answer.Abandon(w, r)
		}
	}()
	f.proxy.ServeHTTP(w, out)
	answered = true
	answer.Drain(w, r)
}

// received is the key of the request as the forwarder got it.
type received struct{}

// upgrades says whether a request is for a WebSocket and nothing else. Any other protocol could
// carry requests that nobody asks for a key.
func upgrades(h http.Header) bool {
	return len(h["Upgrade"]) == 1 && strings.EqualFold(h.Get("Upgrade"), "websocket")
}

// dashes makes the one spelling of a name of those that some upstreams take for it.
var dashes = strings.NewReplacer("_", "-", ".", "-")

// dropForwarded drops what a client says in the place of a proxy. ReverseProxy drops these names in
// one spelling; many an upstream reads them in others.
func dropForwarded(h http.Header) {
	for name := range h {
		switch dashes.Replace(strings.ToLower(name)) {
		case "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto":
			delete(h, name)
		}
	}
}
