// The question (yield.hpp): what does a yield cost when N fibers on one thread yield in turn?
// This is the answer of Go with GOMAXPROCS=1. GOGC is the default, as nothing is allocated. Its
// scheduler keeps two queues and takes from them by turns, so that others than the clock may yield
// twice between two of its own, or not at all. So all yields that there were are counted, and no
// goroutine may have had a tenth less than its share.
package main

import (
	"math"
	"runtime"
	"sync"
)

type ring struct {
	running bool
	yields  int // of all but the clock
	fewest  int // of one goroutine
	ended   sync.WaitGroup
}

// Eight call sites. Which one a goroutine uses never changes.
func yieldAt(site int) {
	switch site {
	case 0:
		runtime.Gosched()
	case 1:
		runtime.Gosched()
	case 2:
		runtime.Gosched()
	case 3:
		runtime.Gosched()
	case 4:
		runtime.Gosched()
	case 5:
		runtime.Gosched()
	case 6:
		runtime.Gosched()
	case 7:
		runtime.Gosched()
	}
}

func yieldWhileRunning(shared *ring, site int) {
	yields := 0
	for shared.running {
		yieldAt(site)
		yields++
		shared.yields++
	}
	if yields < shared.fewest {
		shared.fewest = yields
	}
	shared.ended.Done()
}

func yieldInTurn(fibers, sites, iterations int) (float64, int) {
	const warmUpRounds = 3
	shared := ring{running: true, fewest: math.MaxInt}
	shared.ended.Add(fibers - 1)
	for i := 0; i+1 < fibers; i++ {
		go yieldWhileRunning(&shared, i%sites)
	}
	for i := 0; i < warmUpRounds; i++ {
		runtime.Gosched()
	}
	counted := -shared.yields
	before := cpuNs()
	for i := 0; i < iterations; i++ {
		runtime.Gosched()
	}
	took := cpuNs() - before
	counted += shared.yields
	shared.running = false
	shared.ended.Wait()
	if float64(shared.fewest) < 0.9*float64(iterations) {
		giveUp("the goroutines did not yield in turn")
	}
	return took, counted + iterations
}

func main() {
	runtime.GOMAXPROCS(1)
	of := func(fibers, sites int) func(int) (float64, int) {
		return func(iterations int) (float64, int) { return yieldInTurn(fibers, sites, iterations) }
	}
	answer([]benchmark{
		{"yield/2_fibers", of(2, 1)},
		{"yield/100_fibers", of(100, 1)},
		{"yield/1000_fibers_1_site", of(1000, 1)},
		{"yield/1000_fibers_8_sites", of(1000, 8)},
		{"yield/10000_fibers", of(10000, 1)},
		{"yield/100000_fibers", of(100000, 1)},
		{"yield/1000000_fibers", of(1000000, 1)},
	})
}
