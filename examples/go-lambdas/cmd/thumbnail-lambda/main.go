// thumbnail-lambda says how large a thumbnail is.
package main

import (
	"os"

	"example.com/go-lambdas/internal/img"
	"example.com/go-lambdas/internal/page"
	"example.com/go-lambdas/internal/store"
)

func main() {
	sizes := make([]string, 0, len(os.Args))
	for _, name := range store.Put(os.Args[1:]) {
		sizes = append(sizes, img.Fit(name, 128))
	}
	if err := page.Write(os.Stdout, "thumbnails", sizes); err != nil {
		os.Exit(1)
	}
}
