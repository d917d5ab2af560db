// The question (timer.hpp): what does a wait with a deadline cost that ends before the deadline, when
// N other timers are armed? This is the answer of Go with GOMAXPROCS=1: a timer that is armed
// anew for each wait, and a channel that is kept. The other timers call a function and have no
// goroutines, which is the cheapest. GOGC is the default; without collection it is no faster.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"time"
)

const batch = 1000
const leastNs = 5e7

func draw(random *rand.Rand) time.Duration {
	return time.Hour + time.Duration(random.Int63n(int64(time.Hour)))
}

func main() {
	runtime.GOMAXPROCS(1)
	count := countArgument(1)
	random := rand.New(rand.NewSource(20240229))
	for i := 0; i < count; i++ {
		time.AfterFunc(draw(random), func() { giveUp("a timer came too early") })
	}
	some := make([]time.Duration, batch)
	for i := range some {
		some[i] = draw(random)
	}
	ran := 0
	ended := make(chan bool, 1)
	limit := time.NewTimer(time.Hour)
	limit.Stop()
	wait := func(length time.Duration) {
		limit.Reset(length)
		go func() {
			ran++
			ended <- true
		}()
		select {
		case <-ended:
		case <-limit.C:
			giveUp("the deadline came")
		}
		limit.Stop()
	}
	waitForEach := func() {
		for _, length := range some {
			wait(length)
		}
	}
	waitForEach()
	waits, took := 0, 0.0
	for before := cpuNs(); took < leastNs; took = cpuNs() - before {
		waitForEach()
		waits += batch
	}
	if ran != waits+batch {
		giveUp("a wait ended before what it waited for")
	}
	fmt.Printf("{\"wait\": %g}\n", took/float64(waits))
	os.Exit(0)
}
