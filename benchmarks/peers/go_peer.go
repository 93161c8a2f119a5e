// SPDX-License-Identifier: MIT

// Runs one workload of benchmarks/workloads.hpp with goroutines, and prints what it took as a line of JSON, like `contenders`.
//
//	go build go_peer.go
//	go_peer list                          the workloads
//	go_peer turn                          nanoseconds of a turn of work
//	go_peer nothing                       the program alone
//	go_peer run WORKLOAD KEY=VALUE...     a warm-up with a tenth of the tasks, then the run
//
// Keys and exit status are those of `contenders`. Only the standard library.
//
// A bounded worker pool: goroutines pull inputs from one source under a mutex, and send results into one buffered channel, from
// which the consumer receives. A channel for the inputs as well, filled by a goroutine of its own, took at least twice as long
// for an empty task, and a goroutine for each task behind a semaphore five times and more: each hands over once more per task.
// There are as many goroutines as tasks may be in flight. No more than `threads` would be needed to compute, but then a core
// is idle when they wait for the consumer, which makes a task of a microsecond half as long again. threads is GOMAXPROCS, so
// the consumer and the source share it with the tasks, as is usual in Go.
//
// As many results may wait for the consumer as tasks may be in flight: it is woken seldom, and then has much to do, which is
// best for throughput. In the latency workload the time until a result is delivered is what counts: there only one may wait,
// and there are no more goroutines than `threads`, because one that waits to send holds a result back too. That is as many as
// large results have, which would else be twice as many at a time.
//
// A task that blocks in the mixed workload calls time.Sleep: in Go a goroutine gives its thread back then, and no program tells
// such tasks apart. Goroutines have no threads of their own, so there is no tasks_by_thread.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type settings struct {
	threads, tasks, inFlight, turns, heavyEvery, heavyTimes, sinkTurns, sourceTurns, bytes, streams, milliseconds,
	blockingEvery uint64
}

type outcome struct {
	results, sum uint64
	latencies    []uint32
}

func (o *outcome) add(value uint64) {
	o.results++
	o.sum += value
}

// --- what a task does

// Not inlined, so that the result has to be computed although no caller looks at it.
//
//go:noinline
func mix(mixed, turns uint64) uint64 {
	for turn := uint64(0); turn < turns; turn++ {
		mixed = mixed*6364136223846793005 + 1442695040888963407
	}
	return mixed
}

func work(value, turns uint64) uint64 {
	if turns > 0 {
		mix(value, turns)
	}
	return value
}

func isHeavy(value, every uint64) bool {
	mixed := (value + 1) * 0x9E3779B97F4A7C15
	mixed = (mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93
	return (mixed^(mixed>>32))%every == 0
}

// --- the pool

// source gives one input after the other, and false after the last. It is not called by two at a time.
type source func() (uint64, bool)

func numbers(from, to uint64) source {
	return func() (uint64, bool) {
		if from == to {
			return 0, false
		}
		from++
		return from - 1, true
	}
}

// asCompleted calls sink with each result, on the caller's goroutine, as soon as there is one. At most `workers` inputs have
// been pulled whose task has not ended, and `waiting` further results wait for the sink.
func asCompleted[T any](workers, waiting uint64, next source, task func(uint64) T, sink func(T)) {
	results := make(chan T, waiting)
	var (
		pulling sync.Mutex
		running sync.WaitGroup
	)
	running.Add(int(workers))
	for i := uint64(0); i < workers; i++ {
		go func() {
			defer running.Done()
			for {
				pulling.Lock()
				input, some := next()
				pulling.Unlock()
				if !some {
					return
				}
				results <- task(input)
			}
		}()
	}
	go func() {
		running.Wait()
		close(results)
	}()
	for result := range results {
		sink(result)
	}
}

// --- the workloads

func min(a, b uint64) uint64 {
	if a < b {
		return a
	}
	return b
}

func taskOf(turns uint64) func(uint64) uint64 {
	return func(value uint64) uint64 { return work(value, turns) }
}

func shortTasks(with settings) (got outcome) {
	asCompleted(with.inFlight, with.inFlight, numbers(0, with.tasks), taskOf(with.turns), got.add)
	return
}

func heavyTailed(with settings) (got outcome) {
	task := func(value uint64) uint64 {
		if isHeavy(value, with.heavyEvery) {
			return work(value, with.turns*with.heavyTimes)
		}
		return work(value, with.turns)
	}
	asCompleted(with.inFlight, with.inFlight, numbers(0, with.tasks), task, got.add)
	return
}

func sleeping(with settings) (got outcome) {
	length := time.Duration(with.milliseconds) * time.Millisecond
	task := func(value uint64) uint64 {
		time.Sleep(length)
		return value
	}
	asCompleted(with.inFlight, with.inFlight, numbers(0, with.tasks), task, got.add)
	return
}

func mixed(with settings) (got outcome) {
	length := time.Duration(with.milliseconds) * time.Millisecond
	task := func(value uint64) uint64 {
		if isHeavy(value, with.blockingEvery) {
			time.Sleep(length)
			return value
		}
		return work(value, with.turns)
	}
	asCompleted(with.inFlight, with.inFlight, numbers(0, with.tasks), task, got.add)
	return
}

func slowConsumer(with settings) (got outcome) {
	sink := func(value uint64) { got.add(work(value, with.sinkTurns)) }
	asCompleted(with.inFlight, with.inFlight, numbers(0, with.tasks), taskOf(with.turns), sink)
	return
}

func slowProducer(with settings) (got outcome) {
	next := numbers(0, with.tasks)
	slow := func() (uint64, bool) {
		value, some := next()
		if some {
			work(value, with.sourceTurns)
		}
		return value, some
	}
	asCompleted(with.inFlight, with.inFlight, slow, taskOf(with.turns), got.add)
	return
}

func manyStreams(with settings) (got outcome) {
	parts := make([]outcome, with.streams)
	var consumers sync.WaitGroup
	for stream := uint64(0); stream < with.streams; stream++ {
		consumers.Add(1)
		go func(stream uint64) {
			defer consumers.Done()
			part := numbers(with.tasks*stream/with.streams, with.tasks*(stream+1)/with.streams)
			var here outcome // the parts share cache lines
			asCompleted(with.inFlight, with.inFlight, part, taskOf(with.turns), here.add)
			parts[stream] = here
		}(stream)
	}
	consumers.Wait()
	for _, part := range parts {
		got.results += part.results
		got.sum += part.sum
	}
	return
}

type largeResult struct {
	value uint64
	bytes []byte
}

func largeResults(with settings) (got outcome) {
	size := int(with.bytes)
	task := func(value uint64) largeResult {
		// Repeat copies what it has so far, which is faster than a loop over bytes: the compiler does not vectorize.
		return largeResult{value, bytes.Repeat([]byte{byte(value)}, size)}
	}
	sink := func(result largeResult) {
		if len(result.bytes) == size && result.bytes[size-1] == byte(result.value) {
			got.add(result.value)
		}
	}
	asCompleted(min(with.threads, with.inFlight), with.inFlight, numbers(0, with.tasks), task, sink)
	return
}

type stamped struct {
	value uint64
	ended time.Duration
}

// Since reads the monotonic clock alone, Now the other one too.
var epoch = time.Now()

func latency(with settings) (got outcome) {
	got.latencies = make([]uint32, 0, with.tasks)
	task := func(value uint64) stamped {
		work(value, with.turns)
		return stamped{value, time.Since(epoch)}
	}
	sink := func(result stamped) {
		late := time.Since(epoch) - result.ended
		if late < 0 {
			late = 0
		} else if late > 1<<32-1 {
			late = 1<<32 - 1
		}
		got.latencies = append(got.latencies, uint32(late))
		got.add(work(result.value, with.sinkTurns))
	}
	asCompleted(min(with.threads, with.inFlight), 1, numbers(0, with.tasks), task, sink)
	return
}

var workloads = map[string]func(settings) outcome{
	"short_tasks": shortTasks, "heavy_tailed": heavyTailed, "sleeping": sleeping, "mixed": mixed, "slow_consumer": slowConsumer,
	"slow_producer": slowProducer, "many_streams": manyStreams, "large_results": largeResults, "latency": latency,
}

// --- the program

func readSettings(words []string) (settings, error) {
	with := settings{threads: 2, tasks: 1_000_000, inFlight: 64, heavyTimes: 1_000, streams: 1, blockingEvery: 10}
	keys := map[string]*uint64{
		"threads": &with.threads, "tasks": &with.tasks, "in_flight": &with.inFlight, "turns": &with.turns,
		"heavy_every": &with.heavyEvery, "heavy_times": &with.heavyTimes, "sink_turns": &with.sinkTurns,
		"source_turns": &with.sourceTurns, "bytes": &with.bytes, "streams": &with.streams,
		"milliseconds": &with.milliseconds, "blocking_every": &with.blockingEvery,
	}
	for _, word := range words {
		key, text, _ := strings.Cut(word, "=")
		value, err := strconv.ParseUint(text, 10, 64)
		if keys[key] == nil || err != nil {
			return with, fmt.Errorf("no such setting: %s", word)
		}
		*keys[key] = value
	}
	return with, nil
}

// check refuses what a workload can not mean, as a message instead of a panic or a wait for ever.
func check(workload string, with settings) error {
	for _, needed := range []struct {
		workload, key string
		value         uint64
	}{
		{workload, "threads", with.threads}, {workload, "in_flight", with.inFlight},
		{"heavy_tailed", "heavy_every", with.heavyEvery}, {"mixed", "blocking_every", with.blockingEvery},
		{"large_results", "bytes", with.bytes}, {"many_streams", "streams", with.streams},
	} {
		if needed.workload == workload && needed.value == 0 {
			return fmt.Errorf("%s needs %s=VALUE, at least 1", workload, needed.key)
		}
	}
	return nil
}

type usage struct {
	wall                   time.Time
	cpu                    float64
	voluntary, involuntary int64
}

func usageNow() usage {
	var now syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &now)
	return usage{time.Now(), float64(now.Utime.Nano()+now.Stime.Nano()) * 1e-9, now.Nvcsw, now.Nivcsw}
}

// Kibibytes; of this process alone, where getrusage() may show what it was forked from.
func peakMemory() (kib uint64) {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmHWM:" {
			kib, _ = strconv.ParseUint(words[1], 10, 64)
		}
	}
	return
}

func run(workload string, with settings) (right bool) {
	warmUp := with
	warmUp.tasks = with.tasks / 10
	if warmUp.tasks == 0 {
		warmUp.tasks = 1
	}
	workloads[workload](warmUp)
	before := usageNow()
	got := workloads[workload](with)
	after := usageNow()

	// tasks * (tasks - 1) is 0 also where tasks is: unsigned, as in C++.
	right = got.results == with.tasks && got.sum == with.tasks*(with.tasks-1)/2
	fmt.Printf("{\"seconds\": %.9f, \"cpu_seconds\": %.6f, \"peak_kib\": %d, \"voluntary_switches\": %d, "+
		"\"involuntary_switches\": %d, \"right\": %t", after.wall.Sub(before.wall).Seconds(), after.cpu-before.cpu,
		peakMemory(), after.voluntary-before.voluntary, after.involuntary-before.involuntary, right)
	if found := got.latencies; len(found) > 0 {
		sort.Slice(found, func(a, b int) bool { return found[a] < found[b] })
		at := func(share float64) uint32 { return found[int(share*float64(len(found)-1))] }
		fmt.Printf(", \"latency_ns\": {\"p50\": %d, \"p99\": %d, \"p99.9\": %d}", at(0.5), at(0.99), at(0.999))
	}
	fmt.Println("}")
	return
}

func lengthOfATurn() float64 {
	const probe = 2_000_000
	fastest := time.Hour
	for round := 0; round < 5; round++ {
		begin := time.Now()
		work(1, probe)
		if length := time.Since(begin); length < fastest {
			fastest = length
		}
	}
	return float64(fastest.Nanoseconds()) / probe
}

func main() {
	refuse := func(message any) {
		fmt.Fprintln(os.Stderr, "go_peer:", message)
		os.Exit(2)
	}
	words := os.Args[1:]
	switch {
	case len(words) == 1 && words[0] == "list":
		names := make([]string, 0, len(workloads))
		for name := range workloads {
			names = append(names, name)
		}
		sort.Strings(names)
		fmt.Println("go:", strings.Join(names, " "))
	case len(words) == 1 && words[0] == "turn":
		fmt.Printf("%.4f\n", lengthOfATurn())
	case len(words) == 1 && words[0] == "nothing":
		fmt.Printf("{\"peak_kib\": %d}\n", peakMemory())
	case len(words) >= 2 && words[0] == "run":
		if workloads[words[1]] == nil {
			refuse("no workload " + words[1])
		}
		with, err := readSettings(words[2:])
		if err == nil {
			err = check(words[1], with)
		}
		if err != nil {
			refuse(err)
		}
		runtime.GOMAXPROCS(int(with.threads))
		// Next to nothing lives long here, so a collection for every 4 MiB, the least, is too often for large results.
		debug.SetGCPercent(400)
		if !run(words[1], with) {
			os.Exit(1)
		}
	default:
		refuse("usage: go_peer list | turn | nothing | run WORKLOAD KEY=VALUE...")
	}
}
