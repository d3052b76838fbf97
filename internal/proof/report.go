//go:build unix

package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/internal/proof/checker"
)

// Report is what a proof has shown, and on what.
type Report struct {
	Plan     Plan           `json:"plan"`
	Seed     uint64         `json:"seed"`
	Commit   string         `json:"commit"`
	Machine  Machine        `json:"machine"`
	Began    time.Time      `json:"began"`
	Took     time.Duration  `json:"took"`
	Outcomes []Outcome      `json:"outcomes"`
	Skipped  []string       `json:"skipped,omitempty"` // rounds that could not be done here, and why
	Total    checker.Report `json:"total"`
}

// Machine is where a proof ran.
type Machine struct {
	System string `json:"system"` // operating system, its kernel and architecture
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Model  string `json:"model"` // of the processor
	Go     string `json:"go"`
}

// ThisMachine describes where it is called.
func ThisMachine() Machine {
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	field := func(text, name string) string {
		for line := range strings.Lines(text) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	return Machine{
		System: strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + read("/proc/sys/kernel/osrelease")),
		Cores:  runtime.NumCPU(), Go: runtime.Version(),
		Memory: field(read("/proc/meminfo"), "MemTotal"), Model: field(read("/proc/cpuinfo"), "model name"),
	}
}

// Commit is the revision that this program was built from, or else that of the
// directory it runs in.
func Commit(ctx context.Context) string {
	var commit string
	changed := false
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				commit = s.Value
			case "vcs.modified":
				changed = s.Value == "true"
			}
		}
	}
	git := func(args ...string) string {
		out, err := exec.CommandContext(ctx, "git", args...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	if commit == "" {
		commit, changed = git("rev-parse", "HEAD"), git("status", "--porcelain") != ""
	}
	switch {
	case commit == "":
		return "unknown"
	case changed:
		return commit + " with changes"
	}
	return commit
}

// Add takes an outcome in.
func (r *Report) Add(o Outcome) {
	r.Outcomes = append(r.Outcomes, o)
	r.Total = r.Total.Add(o.Report)
}

// JSON writes the report as one object.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Markdown writes the report for people.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	cuts := int64(0)
	for _, o := range r.Outcomes {
		cuts += o.Cuts
	}
	t := r.Total
	line("Plan `%s`, seed %d, commit %s, begun %s, took %s.", r.Plan, r.Seed, r.Commit, r.Began.UTC().Format(time.RFC3339), r.Took.Round(time.Second))
	m := r.Machine
	line("%s, %d cores (%s), %s of memory, %s.", m.System, m.Cores, m.Model, m.Memory, m.Go)
	line("")
	line("**%d violations; %d refresh tokens lost that had to be there.**", len(t.Violations), t.LostTokens())
	if slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.Round.Traffic.Messages == 0 }) {
		line("")
		r.custody(line)
	}
	if t.Arrivals.Pushes > 0 {
		line("")
		r.arrivals(line)
	}
	line("")
	line("In all: %d processes started, %d killed, %d died elsewhere (%s), %d power cuts, %d pauses; %d refresh tokens issued, of which %d were shown to be kept; %d refreshes answered, %d denied; %d tokens handed out to callers; %d pushes acknowledged; %d forged pushes refused; %d merchants looked at when all was over; %d events.",
		t.Starts, t.Kills, sum(t.Deaths), counts(t.Deaths), cuts, t.Pauses, t.RefreshTokens, t.Kept, t.Refreshes, t.Denials, t.Answers, t.Acknowledged, t.Forgeries, t.Settled, t.Events)
	line("")
	line("Beyond saving (%s): the process died before it had the platform's answer, or while the answer was in its memory alone, on a platform that kills the old token at once and tells the new one to nobody. From answer to death: %d under 1 ms, %d under 5 ms, %d under 20 ms, %d longer, the longest %s.",
		counts(t.Lost), t.Gaps.Under1ms, t.Gaps.Under5ms, t.Gaps.Under20ms, t.Gaps.Longer, t.Gaps.Longest.Round(time.Microsecond))
	if len(r.Skipped) > 0 {
		line("")
		line("Not done here:")
		for _, s := range r.Skipped {
			line("- %s", s)
		}
	}
	if len(t.Violations) > 0 {
		line("")
		line("Violations:")
		for _, o := range r.Outcomes {
			for _, v := range o.Report.Violations {
				line("- %s, seed %d: %s; %s", o.Round.Name, o.Round.Seed, v, o.History)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// custody writes what the rounds about tokens have shown.
func (r *Report) custody(line func(format string, args ...any)) {
	line("| Store | Round | Platform | Seed | Blows | Kills | of them met a refresh | Power cuts | Spells | Refreshes | Tokens read | Beyond saving | Violations | Took |")
	line("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, o := range r.Outcomes {
		p, x := o.Round, o.Report
		if p.Traffic.Messages > 0 {
			continue
		}
		line("| %s × %d | %s | %s, tells %s | %d | %d | %d | %d (%d at the platform, %d just answered) | %d | %d | %d | %d | %s | %d | %s |",
			p.Store, p.Replicas, p.shortName(), p.Rotation, p.List, p.Seed, o.Cycles, x.Kills, x.KillsInFlight, x.InFlight, x.InWindow, o.Cuts, o.Spells,
			x.Refreshes, x.Answers, counts(x.Lost), len(x.Violations), o.Took.Round(time.Second))
	}
}

// arrivals writes what the rounds with traffic have shown.
func (r *Report) arrivals(line func(format string, args ...any)) {
	line("| Store | Seed | Messages | Given up | Slowest answer | Kills | of subscribers | Pauses | Spells | Events × subscribers | Requests | Twice | without a reason | Dead | Violations | Took |")
	line("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, o := range r.Outcomes {
		p, x, a := o.Round, o.Report, o.Report.Arrivals
		if p.Traffic.Messages == 0 {
			continue
		}
		line("| %s × %d | %d | %d | %d | %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %s |",
			p.Store, p.Replicas, p.Seed, a.Pushes, a.GivenUp, a.Slowest.Round(time.Millisecond), x.Kills+atMarks(x.Deaths), a.Downs, x.Pauses, o.Spells,
			a.Taken, a.Deliveries, a.Duplicates, a.Unexplained, a.Dead, len(x.Violations), o.Took.Round(time.Second))
	}
	line("")
	line("Given up: after three tries, as WeChat does. An event counts as come to a subscriber once that was about to answer 2xx. Twice: taken once more, always under the same id and with the same body; without a reason: although nobody was killed, stopped or cut off between the first time and %s after.",
		checker.Config{}.WithDefaults().Mark)
}

// atMarks counts the deaths at named places of the code.
func atMarks(deaths map[string]int) int {
	n := 0
	for _, mark := range failpoint.Names() {
		n += deaths[string(mark)]
	}
	return n
}

// shortName is the name without what other columns say.
func (r Round) shortName() string {
	name := strings.TrimPrefix(r.Name, r.Store+"-")
	name, _, _ = strings.Cut(name, "-"+string(r.Rotation))
	return name
}

func sum(counted map[string]int) int {
	n := 0
	for _, c := range counted {
		n += c
	}
	return n
}

func counts(counted map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counted)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counted[name]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
