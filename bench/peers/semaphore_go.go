// The question (semaphore.hpp): what does it cost to hand on from one fiber to another by a
// semaphore? This is the answer of Go with GOMAXPROCS=1, where a channel with room for one
// commonly serves as one. A process of Go always has several threads, so both cases are one to it.
// GOGC is the default, as nothing is allocated.
package main

import "runtime"

func play(iterations int) (float64, int) {
	there, back := make(chan struct{}, 1), make(chan struct{}, 1)
	played, returned, lost := 0, 0, 0
	go func() {
		for ball := 0; ball < iterations; ball++ {
			<-there
			returned = played
			back <- struct{}{}
		}
	}()
	before := cpuNs()
	for ball := 0; ball < iterations; ball++ {
		played++
		there <- struct{}{}
		<-back
		if returned != played {
			lost++
		}
	}
	took := cpuNs() - before
	if lost != 0 || returned != iterations {
		giveUp("a semaphore was acquired that nobody had released")
	}
	return took, 2 * iterations
}

func main() {
	runtime.GOMAXPROCS(1)
	answer([]benchmark{
		{"semaphore/hop", play},
		{"semaphore/hop_with_threads", play},
	})
}
