// Package img computes the sizes of thumbnails. Only thumbnail-lambda imports it.
package img

import "fmt"

// Fit says how a picture is shown in a square.
func Fit(name string, side int) string {
	return fmt.Sprintf("%s in %dx%d on %s", name, side, side, machine)
}
