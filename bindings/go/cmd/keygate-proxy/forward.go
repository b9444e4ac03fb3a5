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
			target, _ := f.target(r.In.RequestURI)
			target.Scheme, target.Host = upstream.Scheme, upstream.Host
			r.Out.URL, r.Out.Host = target, ""
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
		},
		FlushInterval: -1, // streams pass as they come
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) {
				return // the client is gone
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
			answer(w, http.StatusBadGateway, `{"error":{"message":"The service behind this proxy cannot be reached.","type":"api_error","code":"bad_gateway"}}`)
		},
	}
	return f
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.RequestURI
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	if path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		answer(w, http.StatusOK, `{"status":"ok"}`)
		return
	}
	if _, sound := f.target(r.RequestURI); !sound || r.Method == http.MethodConnect {
		answer(w, http.StatusBadRequest, `{"error":{"message":"This request target cannot be forwarded unchanged.","type":"invalid_request_error","code":"bad_target"}}`)
		return
	}
	// An upstream may answer before it has taken the whole body. Else net/http closes the body with
	// the first byte of the answer, and the transport, still at its end, drops the upstream's.
	_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 is so anyway
	f.proxy.ServeHTTP(w, r)
}

// target is the URL whose request target is, byte for byte, what the gate decided on behind the
// upstream's own path: nothing is decoded, cleaned or encoded anew. Of an absolute target, the
// path and query: the host is the upstream's. False where net/http would send something else.
func (f *forwarder) target(raw string) (*url.URL, bool) {
	if scheme, rest, is := strings.Cut(raw, "://"); is && !strings.ContainsAny(scheme, "/?#") {
		if start := strings.IndexAny(rest, "/?"); start < 0 {
			raw = "/"
		} else if raw = rest[start:]; raw[0] == '?' {
			raw = "/" + raw
		}
	}
	// A '#' is no part of a target. The gate takes it for the end of the path, others may not.
	if strings.Contains(raw, "#") {
		return nil, false
	}
	if raw != "*" {
		raw = f.prefix + raw
	}
	target := &url.URL{Opaque: raw}
	if strings.HasPrefix(raw, "//") { // net/url takes an Opaque like this for a host
		parsed, err := url.ParseRequestURI(raw)
		if err != nil {
			return nil, false
		}
		target = parsed
	}
	return target, target.RequestURI() == raw
}
