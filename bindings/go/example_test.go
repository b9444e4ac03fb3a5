package keygate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/keygate/keygate/bindings/go"
)

func Example() {
	gate, err := keygate.NewGate(keygate.Config{
		AuthMode: keygate.AllExceptHealth,
		APIKey:   keygate.NewSecret("sk-example"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	models := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "models for you") // r has no key header any more
	})
	server := httptest.NewServer(gate.Middleware(models))
	defer server.Close()

	for _, key := range []string{"sk-example", "sk-other"} {
		request, _ := http.NewRequest("GET", server.URL+"/v1/models", nil)
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			fmt.Println(err)
			return
		}
		response.Body.Close()
		fmt.Println(response.Status)
	}

	// A new configuration takes effect between two requests; a bad one leaves the old in force.
	if err := gate.Reload(keygate.Config{Exempt: []string{"healthz"}}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 200 OK
	// 401 Unauthorized
	// exempt[0]: the exempt path does not start with /
}
