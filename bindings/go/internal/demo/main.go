// Command demo prints the steps of the troubleshooting guide with the proxy's answers.
package main

import (
	"fmt"
	"os"

	"github.com/keygate/keygate/bindings/go/internal/steps"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "Usage: demo KEYGATE-PROXY")
		os.Exit(2)
	}
	if err := steps.Run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
