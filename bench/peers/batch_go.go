// The question (batch.hpp): what does a fiber cost when N are spawned first, and then all are joined?
// This is the answer of Go with GOMAXPROCS=1, a group that waits for all, and no
// collection of garbage: with it a warm batch of 10 000 costs half as much again.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"
)

func round(count int, yields bool) float64 {
	ran := 0
	var ended sync.WaitGroup
	before := cpuNs()
	ended.Add(count)
	for i := 0; i < count; i++ {
		if yields {
			go func() {
				runtime.Gosched()
				ran++
				ended.Done()
			}()
		} else {
			go func() {
				ran++
				ended.Done()
			}()
		}
	}
	ended.Wait()
	took := cpuNs() - before
	if ran != count {
		giveUp("a goroutine did not run, or did so twice")
	}
	return took / float64(count)
}

func main() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1)
	count := countArgument(1)
	yields := len(os.Args) > 2
	if yields && os.Args[2] != "that_yield" {
		giveUp("the second argument is no kind of body")
	}
	first := round(count, yields)
	warm := make([]float64, 5)
	for i := range warm {
		warm[i] = round(count, yields)
	}
	sort.Float64s(warm)
	fmt.Printf("{\"first\": %g, \"warm\": %g}\n", first, warm[len(warm)/2])
}
