// SPDX-License-Identifier: MIT

// usage: sleeping_tasks TASKS LIMIT
//
// As many goroutines as tasks may be in flight, between two channels: what Go's own documentation calls a worker pool.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

func doubled(x int) int {
	time.Sleep(time.Second)
	return 2 * x
}

func main() {
	tasks, _ := strconv.Atoi(os.Args[1])
	limit, _ := strconv.Atoi(os.Args[2])
	start := time.Now()
	inputs := make(chan int)
	results := make(chan int, 1024)
	var workers sync.WaitGroup
	workers.Add(limit)
	for i := 0; i < limit; i++ {
		go func() {
			defer workers.Done()
			for x := range inputs {
				results <- doubled(x)
			}
		}()
	}
	go func() {
		for x := 0; x < tasks; x++ {
			inputs <- x
		}
		close(inputs)
		workers.Wait()
		close(results)
	}()
	sum := 0
	for result := range results {
		sum += result
	}
	fmt.Printf("%.4f %d\n", time.Since(start).Seconds(), sum)
}
