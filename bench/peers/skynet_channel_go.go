// The question (skynet_channel.hpp): how long does a tree of fibers take that hand up their numbers
// through channels, and how much memory? This is the answer of Go with GOMAXPROCS=1. Channels have
// room for all ten numbers, which is a tenth faster than none and takes a tenth more memory. No
// garbage is collected, as in skynet_go.go.
package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

const fanOut = 10

func grow(first, leaves uint64, parent chan<- uint64) {
	if leaves == 1 {
		parent <- first
		return
	}
	numbers := make(chan uint64, fanOut)
	part := leaves / fanOut
	for i := uint64(0); i < fanOut; i++ {
		go grow(first+i*part, part, numbers)
	}
	sum := uint64(0)
	for i := 0; i < fanOut; i++ {
		sum += <-numbers
	}
	parent <- sum
}

func main() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1)
	leaves := uint64(countArgument(1))
	numbers := make(chan uint64, 1)
	before := cpuNs()
	go grow(0, leaves, numbers)
	sum := <-numbers
	took := cpuNs() - before
	if sum != leaves*(leaves-1)/2 {
		giveUp("the leaves do not add up; or their number is not a power of ten")
	}
	peak := bytesIn("/proc/self/status", "VmHWM:") / (1024 * 1024)
	fmt.Printf("{\"ms\": %g, \"peak_mib\": %g}\n", took/1e6, peak)
}
