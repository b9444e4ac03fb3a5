// Package noop calls a C function that does nothing, to measure what any call of C costs.
package noop

// static void noop(void) {}
import "C"

// Call does nothing.
func Call() { C.noop() }
