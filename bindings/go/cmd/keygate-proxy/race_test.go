//go:build race

package main

// raceEnabled: the proxy is built with the race detector too.
const raceEnabled = true
