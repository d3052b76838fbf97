//go:build unix

package main

import "slices"

// bug is a mistake that somebody could make, and what has to notice it.
type bug struct {
	name   string
	breaks string // the invariant
	edits  []edit
	check  check
	// says is what the check prints when it notices this bug and not otherwise: which
	// test fails, or what it says.
	says string
}

// edit replaces a text that stands in a file exactly once. The file is named from the
// root of the module.
type edit struct{ file, old, new string }

// bugs returns all there are. Of those that people make with such a system, the ones
// that concern the gateway and the audit log are not here; their packages have tests of
// their own.
func bugs() []bug {
	return slices.Concat(custodyBugs(), storeBugs(), databaseBugs(), durabilityBugs(), pushBugs(), arrivalBugs(), keyBugs(), leakBugs(), processBugs())
}
