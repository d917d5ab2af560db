// What Go's programs share: how they answer (answer.hpp), or say that they cannot.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// Ends the program: it has no answer, and says why.
func giveUp(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

// The number in an argument of the command line, at least 1.
func countArgument(position int) int {
	count := 0
	if position < len(os.Args) {
		count, _ = strconv.Atoi(os.Args[position])
	}
	if count < 1 {
		giveUp("an argument is missing, or is not a number from 1 on")
	}
	return count
}

// CLOCK_PROCESS_CPUTIME_ID of clock_gettime(2), which the syscall package does not name.
const clockProcessCPU = 2

// Nanoseconds of CPU that all threads of this process have taken, in the kernel too (answer.hpp).
func cpuNs() float64 {
	var used syscall.Timespec
	_, _, failed := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockProcessCPU,
		uintptr(unsafe.Pointer(&used)), 0)
	if failed != 0 {
		giveUp("the kernel does not say how much CPU the process has taken")
	}
	return float64(used.Nano())
}

// The figure in a line `name: 123 kB` of a file in /proc, in bytes.
func bytesIn(path, name string) float64 {
	text, _ := os.ReadFile(path)
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == name {
			kib, _ := strconv.ParseFloat(words[1], 64)
			return 1024 * kib
		}
	}
	giveUp("the kernel does not say how much memory the process has")
	return 0
}
