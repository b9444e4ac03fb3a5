// Package peers times keygate's Go binding and its peers' middleware on the same request.
package peers

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/extractors"
	fiberkeyauth "github.com/gofiber/fiber/v3/middleware/keyauth"
	"github.com/keygate/keygate/bindings/go"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/valyala/fasthttp"
)

const (
	key    = "sk-0123456789abcdef0123456789abcdef"
	target = "/v1/chat/completions"
)

// fields are the twelve headers that everything is measured with.
var fields = [][2]string{
	{"Host", "127.0.0.1:8045"},
	{"Accept-Encoding", "gzip, deflate, br, zstd"},
	{"Connection", "keep-alive"},
	{"Accept", "application/json"},
	{"Content-Type", "application/json"},
	{"User-Agent", "OpenAI/Python 2.8.1"},
	{"X-Stainless-Lang", "python"},
	{"X-Stainless-Package-Version", "2.8.1"},
	{"X-Stainless-OS", "Linux"},
	{"X-Stainless-Arch", "x64"},
	{"Authorization", "Bearer " + key},
	{"Content-Length", "312"},
}

func request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, nil)
	for _, field := range fields {
		// Clones, so that cgo has to check the pointers as it does a server's.
		r.Header.Set(field[0], strings.Clone(field[1]))
	}
	return r
}

func policy(b *testing.B) *keygate.Policy {
	policy, err := keygate.New(keygate.Config{
		AuthMode: keygate.AllExceptHealth,
		APIKey:   keygate.NewSecret(key),
	})
	if err != nil {
		b.Fatal(err)
	}
	return policy
}

// BenchmarkKeygateDecide is a decision of keygate's.
func BenchmarkKeygateDecide(b *testing.B) {
	policy, r := policy(b), request()
	b.ReportAllocs()
	for b.Loop() {
		if !policy.DecideRequest(r).Allow {
			b.Fatal("denied")
		}
	}
}

// BenchmarkKeygateMiddleware is all that keygate's handler does: it also puts the decision into the
// context and removes the credential from a copy of the headers, which the peers do not do.
func BenchmarkKeygateMiddleware(b *testing.B) {
	passed := false
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })
	handler, r, w := policy(b).Middleware(next), request(), httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		passed = false
		handler.ServeHTTP(w, r)
		if !passed {
			b.Fatal("denied")
		}
	}
}

func right(credential string) bool {
	return subtle.ConstantTimeCompare([]byte(credential), []byte(key)) == 1
}

// BenchmarkEchoKeyAuth is labstack/echo's middleware, with the comparison that its manual shows.
func BenchmarkEchoKeyAuth(b *testing.B) {
	passed := false
	keyAuth := echomiddleware.KeyAuth(func(credential string, _ echo.Context) (bool, error) {
		return right(credential), nil
	})
	handler := keyAuth(func(echo.Context) error { passed = true; return nil })
	c := echo.New().NewContext(request(), httptest.NewRecorder())
	b.ReportAllocs()
	for b.Loop() {
		passed = false
		if err := handler(c); err != nil || !passed {
			b.Fatal("denied")
		}
	}
}

// fiberApp handles the request with the middleware given.
func fiberApp(b *testing.B, guards ...any) {
	passed := false
	app := fiber.New()
	for _, guard := range guards {
		app.Use(guard)
	}
	app.Post(target, func(fiber.Ctx) error { passed = true; return nil })
	handler, c := app.Handler(), new(fasthttp.RequestCtx)
	c.Request.Header.SetMethod(http.MethodPost)
	c.Request.SetRequestURI(target)
	for _, field := range fields {
		c.Request.Header.Set(field[0], field[1])
	}
	b.ReportAllocs()
	for b.Loop() {
		passed = false
		handler(c)
		if !passed {
			b.Fatal("denied")
		}
	}
}

// BenchmarkFiberAlone is what fiber takes without its middleware, which cannot be called alone.
func BenchmarkFiberAlone(b *testing.B) { fiberApp(b) }

// BenchmarkFiberKeyAuth is fiber with its middleware.
func BenchmarkFiberKeyAuth(b *testing.B) {
	fiberApp(b, fiberkeyauth.New(fiberkeyauth.Config{
		Extractor: extractors.FromAuthHeader("Bearer"),
		Validator: func(_ fiber.Ctx, credential string) (bool, error) {
			if right(credential) {
				return true, nil
			}
			return false, errors.New("wrong key")
		},
	}))
}
