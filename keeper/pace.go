package keeper

import "time"

const (
	paceSlot = 50 * time.Millisecond
	// paceSlots cover a second wherever it begins.
	paceSlots = int64(time.Second/paceSlot) + 1
)

// pace holds a rate: in no second, however it is cut, do more start than that. What was
// missed is made up for, at double the rate at the most.
type pace struct {
	started [paceSlots]int // in each of the last slots, by their numbers
	slot    int64          // the present one
}

// left returns how many may start now, and how long to wait for the next ones. Time
// counts from any instant.
func (p *pace) left(now time.Duration, rate float64) (n int, wait time.Duration) {
	slot := int64(now / paceSlot)
	for p.slot = max(p.slot, slot-paceSlots); p.slot < slot; {
		p.slot++
		p.started[p.slot%paceSlots] = 0
	}
	n = max(int(rate), 1)
	for _, started := range p.started {
		n -= started
	}
	twice := 1 + int(2*rate*paceSlot.Seconds())
	return max(min(n, twice-p.started[slot%paceSlots]), 0), paceSlot - now%paceSlot
}

// start counts one that starts.
func (p *pace) start() { p.started[p.slot%paceSlots]++ }
