package img

import (
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	if got := Fit("a.png", 64); !strings.HasPrefix(got, "a.png in 64x64") {
		t.Error(got)
	}
}
