// Package pick chooses among names.
package pick

// Longest is the longest of the names.
func Longest(names []string) string {
	longest := ""
	for _, name := range names {
		if len(name) > len(longest) {
			longest = name
		}
	}
	return longest
}
