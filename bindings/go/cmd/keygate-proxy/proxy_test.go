package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the proxy that the tests run, built with the flags that they were built with.
var binary string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "keygate-proxy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(folder, "keygate-proxy")
	arguments := []string{"build", "-o", binary}
	if raceEnabled {
		arguments = append(arguments, "-race")
	}
	build := exec.Command("go", append(arguments, ".")...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	os.Unsetenv(keyVariable)
	status := 1
	if err := build.Run(); err == nil {
		status = m.Run()
	}
	os.RemoveAll(folder)
	os.Exit(status)
}
