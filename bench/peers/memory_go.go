// The question (memory.hpp): what does a fiber cost in memory that waits for something and does
// nothing else? This is the answer of Go with GOMAXPROCS=1. A goroutine's stack begins at 2 KiB and
// is copied to a larger one when it gets full, as the kilobyte that the bodies write makes it; it
// needs no guard, and the question for guards does not apply. GOGC is the default.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

type usage struct {
	resident, pageTables, mappings float64
}

func usageNow() (now usage) {
	now.resident = bytesIn("/proc/self/smaps_rollup", "Rss:")
	now.pageTables = bytesIn("/proc/self/status", "VmPTE:")
	maps, _ := os.Open("/proc/self/maps")
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		now.mappings++
	}
	return now
}

//go:noinline
func writeAndPark(number int, parked *sync.WaitGroup, open chan struct{}, whole *bool) {
	var buffer [1024]byte
	for i := range buffer {
		buffer[i] = byte(number)
	}
	parked.Done()
	<-open
	*whole = true
	for _, one := range buffer {
		*whole = *whole && one == byte(number)
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	count := countArgument(1)
	whole := make([]bool, count)
	for i := range whole {
		whole[i] = false
	}
	var parked, ended sync.WaitGroup
	parked.Add(count)
	ended.Add(count)
	open := make(chan struct{})
	runtime.GC()
	before := usageNow()
	for i := 0; i < count; i++ {
		go func(number int) {
			writeAndPark(number, &parked, open, &whole[number])
			ended.Done()
		}(i)
	}
	parked.Wait()
	meanwhile := usageNow()
	close(open)
	ended.Wait()
	for _, one := range whole {
		if !one {
			giveUp("a stack did not keep what was written to it")
		}
	}
	debug.FreeOSMemory()
	after := usageNow()
	each := float64(count)
	fmt.Printf("{\"resident\": %g, \"page_tables\": %g, \"mappings\": %g, \"left_mib\": %g}\n",
		(meanwhile.resident-before.resident)/each, (meanwhile.pageTables-before.pageTables)/each,
		meanwhile.mappings, (after.resident-before.resident)/(1024*1024))
}
