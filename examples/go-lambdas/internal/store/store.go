// Package store stands for a bucket.
package store

import "sort"

// Put keeps names and says all that are kept.
func Put(names []string) []string {
	kept := append([]string(nil), names...)
	sort.Strings(kept)
	return kept
}
