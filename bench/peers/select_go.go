// The question (select.cpp): what does it cost to wait for whichever of N channels has a value?
// This is the answer of Go with GOMAXPROCS=1: a select statement for each number of cases, which
// spares it what reflect.Select would allocate. That numbers come in order is checked, but not by
// which channel, so that the cases have nothing to do. GOGC is the default.
package main

import "runtime"

func destination(number, channels int) int {
	return number * 5 % channels
}

type channels [64]chan int

func selectFrom2(c *channels, iterations int) int {
	number, next := 0, 0
	for ; next < iterations; next++ {
		select {
		case number = <-c[0]:
		case number = <-c[1]:
		}
		if number != next {
			break
		}
	}
	return next
}

func selectFrom8(c *channels, iterations int) int {
	number, next := 0, 0
	for ; next < iterations; next++ {
		select {
		case number = <-c[0]:
		case number = <-c[1]:
		case number = <-c[2]:
		case number = <-c[3]:
		case number = <-c[4]:
		case number = <-c[5]:
		case number = <-c[6]:
		case number = <-c[7]:
		}
		if number != next {
			break
		}
	}
	return next
}

func selectFrom64(c *channels, iterations int) int {
	number, next := 0, 0
	for ; next < iterations; next++ {
		select {
		case number = <-c[0]:
		case number = <-c[1]:
		case number = <-c[2]:
		case number = <-c[3]:
		case number = <-c[4]:
		case number = <-c[5]:
		case number = <-c[6]:
		case number = <-c[7]:
		case number = <-c[8]:
		case number = <-c[9]:
		case number = <-c[10]:
		case number = <-c[11]:
		case number = <-c[12]:
		case number = <-c[13]:
		case number = <-c[14]:
		case number = <-c[15]:
		case number = <-c[16]:
		case number = <-c[17]:
		case number = <-c[18]:
		case number = <-c[19]:
		case number = <-c[20]:
		case number = <-c[21]:
		case number = <-c[22]:
		case number = <-c[23]:
		case number = <-c[24]:
		case number = <-c[25]:
		case number = <-c[26]:
		case number = <-c[27]:
		case number = <-c[28]:
		case number = <-c[29]:
		case number = <-c[30]:
		case number = <-c[31]:
		case number = <-c[32]:
		case number = <-c[33]:
		case number = <-c[34]:
		case number = <-c[35]:
		case number = <-c[36]:
		case number = <-c[37]:
		case number = <-c[38]:
		case number = <-c[39]:
		case number = <-c[40]:
		case number = <-c[41]:
		case number = <-c[42]:
		case number = <-c[43]:
		case number = <-c[44]:
		case number = <-c[45]:
		case number = <-c[46]:
		case number = <-c[47]:
		case number = <-c[48]:
		case number = <-c[49]:
		case number = <-c[50]:
		case number = <-c[51]:
		case number = <-c[52]:
		case number = <-c[53]:
		case number = <-c[54]:
		case number = <-c[55]:
		case number = <-c[56]:
		case number = <-c[57]:
		case number = <-c[58]:
		case number = <-c[59]:
		case number = <-c[60]:
		case number = <-c[61]:
		case number = <-c[62]:
		case number = <-c[63]:
		}
		if number != next {
			break
		}
	}
	return next
}

func selectNumbers(cases, iterations int, from func(*channels, int) int) (float64, int) {
	var c channels
	for i := 0; i < cases; i++ {
		c[i] = make(chan int)
	}
	go func() {
		for number := 0; number < iterations; number++ {
			c[destination(number, cases)] <- number
		}
	}()
	before := cpuNs()
	came := from(&c, iterations)
	took := cpuNs() - before
	if came != iterations {
		giveUp("a number was lost, or came out of turn")
	}
	return took, iterations
}

func main() {
	runtime.GOMAXPROCS(1)
	of := func(cases int, from func(*channels, int) int) func(int) (float64, int) {
		return func(iterations int) (float64, int) { return selectNumbers(cases, iterations, from) }
	}
	answer([]benchmark{
		{"select/2_cases", of(2, selectFrom2)},
		{"select/8_cases", of(8, selectFrom8)},
		{"select/64_cases", of(64, selectFrom64)},
	})
}
