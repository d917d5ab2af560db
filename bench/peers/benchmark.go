// What bench/run uses of Google Benchmark, for Go: `--benchmark_filter=^NAME/` chooses a case,
// `--benchmark_min_time=SECONDS` is how much process CPU time one answer takes at least, and the
// answer is JSON with the items per second of that time.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A question with its numbers filled in. `ask` does what is asked so many times, between two calls
// of cpuNs; it returns the nanoseconds between them and how many items they made.
type benchmark struct {
	name string
	ask  func(iterations int) (took float64, items int)
}

func answer(all []benchmark) {
	name, seconds := "", 0.5
	for _, argument := range os.Args[1:] {
		if value := strings.TrimPrefix(argument, "--benchmark_filter="); value != argument {
			name = strings.Trim(value, "^/")
		}
		if value := strings.TrimPrefix(argument, "--benchmark_min_time="); value != argument {
			seconds, _ = strconv.ParseFloat(value, 64)
		}
	}
	for _, one := range all {
		if one.name == name {
			fmt.Printf("{\"benchmarks\": [{\"items_per_second\": %g}]}\n", itemsPerSecond(one, 1e9*seconds))
			return
		}
	}
	giveUp("there is no case " + name)
}

// Asks with ever more iterations until one answer took long enough, as Google Benchmark does.
func itemsPerSecond(one benchmark, least float64) float64 {
	for iterations := 1; ; {
		took, items := one.ask(iterations)
		if took >= least {
			return 1e9 * float64(items) / took
		}
		more := 10.0
		if took > least/10 {
			more = 1.4 * least / took
		}
		iterations = int(float64(iterations)*more) + 1
	}
}
