// Copies every file of one directory into another, one goroutine per file, through io.CopyBuffer with pooled buffers of
// 64 KiB: what a Go program does that has many files to copy. Prints the nanoseconds that took; starting the program and
// listing the directory do not count.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

var buffers = sync.Pool{New: func() any { buffer := make([]byte, 64<<10); return &buffer }}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	if _, err := io.CopyBuffer(out, in, *buffer); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(runtime.Version())
		return
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: goroutine-copy FROM TO")
		os.Exit(2)
	}
	entries, err := os.ReadDir(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	failures := make([]error, len(entries))
	begin := time.Now()
	var all sync.WaitGroup
	for i, entry := range entries {
		all.Add(1)
		go func(i int, name string) {
			defer all.Done()
			failures[i] = copyFile(filepath.Join(os.Args[1], name), filepath.Join(os.Args[2], name))
		}(i, entry.Name())
	}
	all.Wait()
	elapsed := time.Since(begin)
	for _, err := range failures {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Println(elapsed.Nanoseconds())
}
