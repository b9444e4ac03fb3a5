//go:build !race

package keygate_test

const raceEnabled = false
