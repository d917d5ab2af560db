// The question (mutex.hpp): what does a mutex cost to lock and to unlock, free or waited for? This
// is the answer of Go with GOMAXPROCS=1 and sync.Mutex. A process of Go always has several threads,
// so both cases of a free mutex are one to it. GOGC is the default, as nothing is allocated.
package main

import (
	"runtime"
	"sync"
)

func lockAlone(iterations int) (float64, int) {
	var lock sync.Mutex
	locked := 0
	before := cpuNs()
	for i := 0; i < iterations; i++ {
		lock.Lock()
		locked++
		lock.Unlock()
	}
	took := cpuNs() - before
	if locked != iterations {
		giveUp("a lock was left out")
	}
	return took, iterations
}

func lockInTurn(fibers, iterations int) (float64, int) {
	var lock sync.Mutex
	var ended sync.WaitGroup
	locked := 0
	each := (iterations + fibers - 1) / fibers
	holdAcrossAYield := func() {
		for left := each; left > 0; left-- {
			lock.Lock()
			found := locked
			runtime.Gosched()
			locked = found + 1
			lock.Unlock()
			runtime.Gosched()
		}
		ended.Done()
	}
	ended.Add(fibers)
	before := cpuNs()
	for i := 0; i < fibers; i++ {
		go holdAcrossAYield()
	}
	ended.Wait()
	took := cpuNs() - before
	if locked != each*fibers {
		giveUp("the mutex let in two at a time")
	}
	return took, locked
}

func main() {
	runtime.GOMAXPROCS(1)
	inTurn := func(fibers int) func(int) (float64, int) {
		return func(iterations int) (float64, int) { return lockInTurn(fibers, iterations) }
	}
	answer([]benchmark{
		{"mutex/uncontended", lockAlone},
		{"mutex/uncontended_with_threads", lockAlone},
		{"mutex/2_fibers", inTurn(2)},
		{"mutex/100_fibers", inTurn(100)},
	})
}
