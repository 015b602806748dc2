// selection-lambda picks one upload.
package main

import (
	"os"

	"example.com/go-lambdas/internal/page"
	"example.com/go-lambdas/internal/pick"
)

func main() {
	if err := page.Write(os.Stdout, "selection", []string{pick.Longest(os.Args[1:])}); err != nil {
		os.Exit(1)
	}
}
