package failpoint_test

import (
	"testing"

	"github.com/tuoguan/tuoguan/internal/failpoint"
)

func TestNamesAreDistinct(t *testing.T) {
	t.Parallel()
	seen := make(map[failpoint.Name]bool)
	for _, name := range failpoint.Names() {
		if seen[name] {
			t.Errorf("%s is listed twice", name)
		}
		seen[name] = true
	}
}

func TestMarksDoNothingUnasked(t *testing.T) {
	t.Parallel()
	for _, name := range failpoint.Names() {
		if err := failpoint.Hit(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if offset := failpoint.ClockOffset(); offset != 0 {
		t.Errorf("the clock is %v ahead", offset)
	}
}
