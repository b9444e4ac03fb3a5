//go:build race

package keygate_test

// raceEnabled: the race detector allocates where the program does not, and drops from pools.
const raceEnabled = true
