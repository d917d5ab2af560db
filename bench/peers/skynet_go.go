// The question (skynet.hpp): how long does a tree of fibers take to grow and to be joined, and how
// much memory? This is the answer of Go with GOMAXPROCS=1: each goroutine has a group that waits for
// its children, and a slot that takes its number. No garbage is collected, which makes the tree of a
// million leaves a quarter cheaper and takes a third more memory.
package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

const fanOut = 10

type node struct {
	first, leaves, sum uint64
}

func grow(self *node) {
	if self.leaves == 1 {
		self.sum = self.first
		return
	}
	var children [fanOut]node
	var ended sync.WaitGroup
	ended.Add(fanOut)
	part := self.leaves / fanOut
	for i := range children {
		children[i] = node{self.first + uint64(i)*part, part, 0}
		go func(child *node) {
			grow(child)
			ended.Done()
		}(&children[i])
	}
	ended.Wait()
	for i := range children {
		self.sum += children[i].sum
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1)
	leaves := uint64(countArgument(1))
	root := node{0, leaves, 0}
	before := cpuNs()
	grow(&root)
	took := cpuNs() - before
	if root.sum != leaves*(leaves-1)/2 {
		giveUp("the leaves do not add up; or their number is not a power of ten")
	}
	fmt.Printf("{\"ms\": %g, \"peak_mib\": %g}\n", took/1e6, bytesIn("/proc/self/status", "VmHWM:")/(1024*1024))
}
