package simulator_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
)

// TestReadmeTable compares the table of faults with the presets.
func TestReadmeTable(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	presets := make([]map[string]any, 3)
	for i, name := range []string{simulator.PresetOff, simulator.PresetDefault, simulator.PresetHostile} {
		raw, err := json.Marshal(simtest.Faults(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &presets[i]); err != nil {
			t.Fatal(err)
		}
	}
	documented := make(map[string]bool)
	for _, line := range strings.Split(string(readme), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, name := range strings.Split(cells[1], ",") {
			name = strings.Trim(name, " `")
			documented[name] = true
			for i, preset := range presets {
				if got, want := strings.TrimSpace(cells[2+i]), fmt.Sprint(preset[name]); got != want {
					t.Errorf("%s: the README says %s, the preset %s", name, got, want)
				}
			}
		}
	}
	for _, match := range regexp.MustCompile("`([a-z_]+)` \\(([0-9]+)").FindAllStringSubmatch(string(readme), -1) {
		if value, known := presets[0][match[1]]; known {
			documented[match[1]] = true
			if fmt.Sprint(value) != match[2] {
				t.Errorf("%s: the README says %s, the preset %v", match[1], match[2], value)
			}
		}
	}
	for name := range presets[0] {
		if !documented[name] && name != "refresh_token_grace" { // named beside the mode it belongs to
			t.Errorf("the README does not list %s", name)
		}
	}
}
