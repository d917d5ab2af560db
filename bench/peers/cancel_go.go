// The question (cancel.hpp): what does it cost to cancel a fiber that waits? This is the answer of
// Go with GOMAXPROCS=1 and a channel that is closed. A context does that in the end, too, and costs a
// fifth more. A goroutine is unwound by Goexit, which runs what was deferred. GOGC is the default;
// without collection it is no faster.
package main

import (
	"runtime"
	"sync"
	"time"
)

func wait(stop <-chan struct{}, ended *int) {
	<-stop
	*ended++
}

func sleep(stop <-chan struct{}, ended *int) {
	hour := time.NewTimer(time.Hour)
	select {
	case <-stop:
		hour.Stop()
	case <-hour.C:
		giveUp("a wait ended by itself")
	}
	*ended++
}

func unwind(stop <-chan struct{}, ended *int) {
	defer func() { *ended++ }()
	<-stop
	runtime.Goexit()
}

func cancelEach(live func(<-chan struct{}, *int)) func(int) (float64, int) {
	return func(iterations int) (float64, int) {
		var joined sync.WaitGroup
		ended := 0
		before := cpuNs()
		for i := 0; i < iterations; i++ {
			stop := make(chan struct{})
			joined.Add(1)
			go func() {
				defer joined.Done()
				live(stop, &ended)
			}()
			runtime.Gosched() // it waits now
			close(stop)
			joined.Wait()
		}
		took := cpuNs() - before
		if ended != iterations {
			giveUp("a goroutine did not end, or did so twice")
		}
		return took, iterations
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	answer([]benchmark{
		{"cancel/wait", cancelEach(wait)},
		{"cancel/sleep", cancelEach(sleep)},
		{"cancel/unwind", cancelEach(unwind)},
	})
}
