// The question (channel.hpp): what does it cost to hand a value from fiber to fiber through a
// channel? This is the answer of Go with GOMAXPROCS=1. GOGC is the default, as nothing is allocated
// on the way. A process of Go always has several threads, so both ways to ask for a hop are one.
package main

import (
	"runtime"
	"sync"
)

func exchange(capacity, senders, takers, total int) (float64, int) {
	values := make(chan uint64, capacity)
	var sent, taken sync.WaitGroup
	sums, counts := make([]uint64, takers), make([]int, takers)
	before := cpuNs()
	taken.Add(takers)
	for i := 0; i < takers; i++ {
		go func(i int) {
			sum, count := uint64(0), 0
			for number := range values {
				sum += number
				count++
			}
			sums[i], counts[i] = sum, count
			taken.Done()
		}(i)
	}
	sent.Add(senders)
	first := 0
	for left := senders; left > 0; left-- {
		share := (total - first) / left
		go func(first, end uint64) {
			for number := first; number != end; number++ {
				values <- number
			}
			sent.Done()
		}(uint64(first), uint64(first+share))
		first += share
	}
	sent.Wait()
	close(values)
	taken.Wait()
	took := cpuNs() - before

	sum, count := uint64(0), 0
	for i := range sums {
		sum += sums[i]
		count += counts[i]
	}
	if count != total || sum != uint64(total)*uint64(total-1)/2 {
		giveUp("a value was lost, or came twice")
	}
	return took, total
}

func handBackAndForth(iterations int) (float64, int) {
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for number := range there {
			back <- number
		}
	}()
	number, lost := uint64(0), 0
	before := cpuNs()
	for i := 0; i < iterations; i++ {
		number++
		there <- number
		if <-back != number {
			lost++
		}
	}
	took := cpuNs() - before
	close(there)
	if lost != 0 {
		giveUp("a number did not come back, or another did")
	}
	return took, 2 * iterations
}

func main() {
	runtime.GOMAXPROCS(1)
	of := func(capacity, senders, takers int) func(int) (float64, int) {
		return func(iterations int) (float64, int) {
			return exchange(capacity, senders, takers, iterations)
		}
	}
	answer([]benchmark{
		{"channel/rendezvous_hop", handBackAndForth},
		{"channel/rendezvous_hop_with_threads", handBackAndForth},
		{"channel/rendezvous_1_to_1", of(0, 1, 1)},
		{"channel/rendezvous_100_to_1", of(0, 100, 1)},
		{"channel/rendezvous_100_to_100", of(0, 100, 100)},
		{"channel/buffer_1_1_to_1", of(1, 1, 1)},
		{"channel/buffer_1_100_to_1", of(1, 100, 1)},
		{"channel/buffer_1_100_to_100", of(1, 100, 100)},
		{"channel/buffer_64_1_to_1", of(64, 1, 1)},
		{"channel/buffer_64_100_to_1", of(64, 100, 1)},
		{"channel/buffer_64_100_to_100", of(64, 100, 100)},
		{"channel/buffer_1024_1_to_1", of(1024, 1, 1)},
		{"channel/buffer_1024_100_to_1", of(1024, 100, 1)},
		{"channel/buffer_1024_100_to_100", of(1024, 100, 100)},
	})
}
