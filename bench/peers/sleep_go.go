// The question (sleep.hpp): what does a sleep cost when N fibers on one thread sleep, each for a
// time of its own, and how late do they wake?
// This is the answer of Go with GOMAXPROCS=1: one goroutine for each sleep. GOGC is the default:
// without collection the first round is a tenth cheaper, the warm one a tenth dearer.
package main

import (
	"fmt"
	"math/rand"
	"runtime"
	"sort"
	"sync"
	"time"
)

type sleeper struct {
	length    time.Duration
	due, woke time.Time
}

func sleepAll(all []sleeper) {
	var done sync.WaitGroup
	done.Add(len(all))
	for i := range all {
		go func(one *sleeper) {
			one.due = time.Now().Add(one.length)
			time.Sleep(one.length)
			one.woke = time.Now()
			done.Done()
		}(&all[i])
	}
	done.Wait()
}

// Appends by how much the sleeps were late that ended after all had begun.
func appendLate(late []time.Duration, all []sleeper) []time.Duration {
	allAsleep := all[0].due.Add(-all[0].length)
	for i := range all {
		if begin := all[i].due.Add(-all[i].length); begin.After(allAsleep) {
			allAsleep = begin
		}
	}
	for i := range all {
		if all[i].woke.Before(all[i].due) {
			giveUp("a goroutine woke too early")
		}
		if !all[i].due.Before(allAsleep) {
			late = append(late, all[i].woke.Sub(all[i].due))
		}
	}
	return late
}

func main() {
	runtime.GOMAXPROCS(1)
	count, longestMs := countArgument(1), countArgument(2)
	random := rand.New(rand.NewSource(20240229))
	all := make([]sleeper, count)
	for i := range all {
		microseconds := 1000 + random.Intn(1000*longestMs-999)
		all[i].length = time.Duration(microseconds) * time.Microsecond
	}
	var cpu [2]float64
	late := make([]time.Duration, 0, 2*count)
	for round := range cpu {
		before := cpuNs()
		sleepAll(all)
		cpu[round] = (cpuNs() - before) / float64(count)
		late = appendLate(late, all)
	}
	sort.Slice(late, func(a, b int) bool { return late[a] < late[b] })
	microseconds := func(part float64) float64 {
		return float64(late[int(part*float64(len(late)-1))].Nanoseconds()) / 1000
	}
	fmt.Printf("{\"first\": %g, \"warm\": %g, \"late_p50\": %g, \"late_p99\": %g}\n",
		cpu[0], cpu[1], microseconds(0.5), microseconds(0.99))
}
