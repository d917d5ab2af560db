// The question (spawn.hpp): what does it cost to spawn a fiber and to join it, one after the other?
// This is the answer of Go with GOMAXPROCS=1, and a group that waits for one. GOGC is the
// default; without collection it is no faster.
package main

import (
	"runtime"
	"sync"
)

func spawnAndJoin(iterations int) (float64, int) {
	ran := 0
	var ended sync.WaitGroup
	before := cpuNs()
	for i := 0; i < iterations; i++ {
		ended.Add(1)
		go func() {
			ran++
			ended.Done()
		}()
		ended.Wait()
	}
	took := cpuNs() - before
	if ran != iterations {
		giveUp("a goroutine did not run")
	}
	return took, iterations
}

func main() {
	runtime.GOMAXPROCS(1)
	answer([]benchmark{{"spawn/join_each", spawnAndJoin}})
}
