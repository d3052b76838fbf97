package simulator

import (
	"maps"
	"strconv"
	"sync"
)

// Stats counts what the platform saw.
type Stats struct {
	// Calls counts requests by path, Errcodes errors by number.
	Calls    map[string]int `json:"calls"`
	Errcodes map[string]int `json:"errcodes"`
	// MaxRefreshOverlap is the largest number of api_authorizer_token calls that
	// were ever under way for one authorization at once; those of each account
	// are in its AuthorizationInfo.
	MaxRefreshOverlap int `json:"max_refresh_overlap"`
	// MaxMintOverlap is the same for api_component_token, by component.
	MaxMintOverlap map[string]int `json:"max_mint_overlap"`
}

type stats struct {
	mu       sync.Mutex
	calls    map[string]int
	errcodes map[errcode]int
	overlap  int
	mints    map[string]int
	maxMints map[string]int
}

func (s *stats) count(path string, code errcode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls, s.errcodes = make(map[string]int), make(map[errcode]int)
	}
	if len(s.calls) < 4096 || s.calls[path] > 0 { // unknown paths must not fill the memory
		s.calls[path]++
	}
	if code != 0 {
		s.errcodes[code]++
	}
}

func (s *stats) overlapped(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overlap = max(s.overlap, n)
}

func (s *stats) minting(component string, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mints == nil {
		s.mints, s.maxMints = make(map[string]int), make(map[string]int)
	}
	s.mints[component] += change
	s.maxMints[component] = max(s.maxMints[component], s.mints[component])
}

// Stats returns the counts since the simulator was made.
func (s *Simulator) Stats() Stats {
	t := &s.stats
	t.mu.Lock()
	defer t.mu.Unlock()
	result := Stats{
		Calls: map[string]int{}, Errcodes: map[string]int{}, MaxMintOverlap: map[string]int{}, MaxRefreshOverlap: t.overlap,
	}
	maps.Copy(result.Calls, t.calls)
	maps.Copy(result.MaxMintOverlap, t.maxMints)
	for code, n := range t.errcodes {
		result.Errcodes[strconv.Itoa(int(code))] = n
	}
	return result
}
