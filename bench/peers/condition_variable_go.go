// The question (condition_variable.hpp): what does it cost to wait for a condition, and to wake
// those who do? This is the answer of Go with GOMAXPROCS=1, sync.Cond and sync.Mutex. GOGC is the
// default, as nothing is allocated on the way. A process of Go always has several threads, so both
// cases of ping-pong are one to it.
package main

import (
	"runtime"
	"sync"
)

func pingPong(iterations int) (float64, int) {
	changed := sync.NewCond(&sync.Mutex{})
	var ended sync.WaitGroup
	turn := 0
	play := func(player int) {
		changed.L.Lock()
		for left := iterations; left > 0; left-- {
			for turn%2 != player {
				changed.Wait()
			}
			turn++
			changed.Signal()
		}
		changed.L.Unlock()
	}
	ended.Add(1)
	go func() {
		play(1)
		ended.Done()
	}()
	before := cpuNs()
	play(0)
	took := cpuNs() - before
	ended.Wait()
	if turn != 2*iterations {
		giveUp("a turn was left out")
	}
	return took, turn
}

func notifyAll(rounds int) (float64, int) {
	const runners = 100
	var lock sync.Mutex
	var ended sync.WaitGroup
	begun, allHaveCome := sync.NewCond(&lock), sync.NewCond(&lock)
	come, round, run := 0, 0, 0
	runRounds := func() {
		lock.Lock()
		for next := 1; next <= rounds; next++ {
			come++
			if come == runners {
				allHaveCome.Signal()
			}
			for round != next {
				begun.Wait()
			}
			run++
		}
		lock.Unlock()
		ended.Done()
	}
	ended.Add(runners)
	for i := 0; i < runners; i++ {
		go runRounds()
	}
	before := cpuNs()
	lock.Lock()
	for i := 0; i < rounds; i++ {
		for come != runners {
			allHaveCome.Wait()
		}
		come = 0
		round++
		begun.Broadcast()
	}
	lock.Unlock()
	took := cpuNs() - before
	ended.Wait()
	if run != runners*rounds {
		giveUp("somebody missed a round")
	}
	return took, run
}

func main() {
	runtime.GOMAXPROCS(1)
	answer([]benchmark{
		{"condition_variable/ping_pong", pingPong},
		{"condition_variable/ping_pong_with_threads", pingPong},
		{"condition_variable/notify_all", notifyAll},
	})
}
