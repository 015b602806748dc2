// media-lambda keeps uploads and shows what is there.
package main

import (
	"os"

	"example.com/go-lambdas/internal/page"
	"example.com/go-lambdas/internal/store"
)

func main() {
	names := store.Put(os.Args[1:])
	if err := page.Write(os.Stdout, "media", names); err != nil {
		os.Exit(1)
	}
}
