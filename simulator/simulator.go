package simulator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuoguan/tuoguan"
)

const (
	ticketInterval = 10 * time.Minute
	ticketLife     = 12 * time.Hour
	// pushDeadline is how long WeChat waits for the answer to a push; real time.
	pushDeadline = 5 * time.Second
	pushAttempts = 3
	// ticketPoll bounds how long an advance of the clock by somebody else goes unnoticed.
	ticketPoll = time.Second
)

// Config is what a [Simulator] is made from. Its zero value is usable.
type Config struct {
	// Clock is the platform's time. Defaults to a clock of its own.
	Clock *tuoguan.Clock
	// Seed decides every secret, every random choice and every fault.
	Seed uint64
	// Faults defaults to the preset "default": misbehaving.
	Faults *Faults
	// Logger defaults to none. No secret is ever logged.
	Logger *slog.Logger
	// PushTransport carries the pushes. Defaults to a transport of its own.
	PushTransport http.RoundTripper
	// RetryDelay is the real time between two attempts of one push. Defaults to 200 ms.
	RetryDelay time.Duration
	// ExclusiveSets are the permission sets that one component can hold at a time.
	// Defaults to those that the official tables mark so.
	ExclusiveSets []int
	// JournalSize is how many entries the journal keeps. Defaults to 65,536.
	JournalSize int
	// Observe, if set, is called with every journal entry, in order and under a
	// lock: it must be quick and must not call the simulator.
	Observe func(Entry)
}

func (c Config) withDefaults() (Config, error) {
	if c.Clock == nil {
		c.Clock = new(tuoguan.Clock)
	}
	if c.Faults == nil {
		f, err := Preset(PresetDefault)
		if err != nil {
			return c, err
		}
		c.Faults = &f
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ExclusiveSets == nil {
		c.ExclusiveSets = exclusiveSets
	}
	c.RetryDelay = cmp.Or(c.RetryDelay, 200*time.Millisecond)
	c.JournalSize = cmp.Or(c.JournalSize, 1<<16)
	var errs []error
	if c.RetryDelay < 0 {
		errs = append(errs, fmt.Errorf("retry delay is %s: must not be negative", c.RetryDelay))
	}
	if c.JournalSize < 0 {
		errs = append(errs, fmt.Errorf("journal size is %d: must not be negative", c.JournalSize))
	}
	return c, errors.Join(append(errs, c.Faults.validate())...)
}

// Simulator is WeChat's side. Make it with [New] and release it with
// [Simulator.Close]. It is safe for concurrent use.
type Simulator struct {
	config  Config
	clock   *tuoguan.Clock
	log     *slog.Logger
	faults  atomic.Pointer[Faults]
	dice    dice
	mint    mint
	journal journal
	pusher  *http.Client
	ownPush *http.Transport // closed with the simulator; nil where PushTransport was given
	stats   stats
	api     map[string]endpoint
	pages   http.Handler

	templates *template.Template // of the pages

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	closing sync.Mutex // guards background.Add against Close
	tasks   sync.WaitGroup
	wake    chan struct{} // tells Run that a ticket may be due

	mu             sync.Mutex // guards all below; never held over I/O
	components     map[string]*component
	componentList  []*component
	accounts       map[string]*account
	accountList    []*account
	authorizations []*authorization
	codes          map[codeKey]*authorizationCode
	visits         map[string]*visit
	given          map[string]struct{} // secrets that were registered
	oauthCodes     map[uint32]*oauthCode
	userTokens     map[uint32]*userToken
	jsCodes        map[uint32]*jsCode
	oauthN         uint32
	userTokenN     uint32
	jsCodeN        uint32
	openN          uint32
	messageN       uint64
	media          []*medium // oldest first; those whose bytes are kept
	mediaBytes     int
	quota          quota
	rids           ridLog
	exclusive      map[int]bool
}

// New makes a simulator without components; its accounts are the test accounts
// of the release check.
func New(config Config) (*Simulator, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	templates, err := template.New("pages").Parse(pagesHTML)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	s := &Simulator{
		config:     config,
		clock:      config.Clock,
		log:        config.Logger,
		dice:       dice{seed: config.Seed},
		mint:       newMint(config.Seed),
		journal:    journal{size: config.JournalSize, observe: config.Observe},
		templates:  templates,
		wake:       make(chan struct{}, 1),
		components: make(map[string]*component),
		accounts:   make(map[string]*account),
		codes:      make(map[codeKey]*authorizationCode),
		visits:     make(map[string]*visit),
		given:      make(map[string]struct{}),
		oauthCodes: make(map[uint32]*oauthCode),
		userTokens: make(map[uint32]*userToken),
		jsCodes:    make(map[uint32]*jsCode),
		quota:      newQuota(),
		rids:       newRIDLog(),
		exclusive:  make(map[int]bool),
	}
	s.pages = s.pageRoutes()
	s.faults.Store(config.Faults)
	if s.api, err = endpoints(); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	for _, set := range config.ExclusiveSets {
		s.exclusive[set] = true
	}
	transport := config.PushTransport
	if transport == nil {
		s.ownPush = &http.Transport{
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       30 * time.Second,
			ResponseHeaderTimeout: pushDeadline,
		}
		transport = s.ownPush
	}
	s.pusher = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.addTestAccounts()
	return s, nil
}

// Close ends pushes that are under way and waits for them.
func (s *Simulator) Close() {
	s.closing.Lock()
	s.cancel()
	s.closing.Unlock()
	s.tasks.Wait()
	if s.ownPush != nil {
		s.ownPush.CloseIdleConnections()
	}
}

// background runs a task that Close waits for, unless it was called already.
func (s *Simulator) background(task func(context.Context)) {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	s.tasks.Go(func() { task(s.ctx) })
}

// Run pushes a verify ticket to every component whose pushes are on, every ten
// minutes of virtual time, until ctx ends; then it returns nil. If the clock
// leaps, one ticket is pushed, not one for every ten minutes that were skipped.
func (s *Simulator) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var pushes sync.WaitGroup
	defer pushes.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.ctx.Done():
			return nil
		case <-timer.C:
		case <-s.wake:
		}
		due, next := s.dueTickets()
		for _, appid := range due {
			pushes.Go(func() {
				if s.strikes(s.Faults().WithholdTicket, "withhold_ticket", appid) {
					return
				}
				if _, err := s.PushTicket(ctx, appid); err != nil {
					s.log.Warn("ticket not pushed", "component_appid", appid, "error", err)
				}
			})
		}
		timer.Reset(min(next, ticketPoll))
	}
}

// dueTickets returns the components that get a ticket now, and after which time
// the next one is due.
func (s *Simulator) dueTickets() (due []string, next time.Duration) {
	now := s.now()
	next = ticketInterval
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.componentList {
		if !c.ticketsOn {
			continue
		}
		if wait := c.nextTicket.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		c.nextTicket = now.Add(ticketInterval)
		due = append(due, c.appid)
	}
	return due, next
}

// now is the platform's time.
func (s *Simulator) now() time.Time { return s.clock.Now() }

// Clock returns the platform's clock.
func (s *Simulator) Clock() *tuoguan.Clock { return s.clock }

// Advance moves the clock forward and pushes what has become due.
func (s *Simulator) Advance(d time.Duration) error {
	if d < 0 {
		return &Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("advance is %s: time only goes forward", d)}
	}
	s.clock.Advance(d)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// sleep waits for d of real time or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Error is a refusal of the control API or of its Go methods.
type Error struct {
	// Status is the HTTP status of the control reply.
	Status int `json:"status"`
	// PageCode is the number that the authorization page shows for the same
	// refusal, where it would have been the one to refuse.
	PageCode int `json:"page_code,omitempty"`
	// Message says what was wrong and what would be right.
	Message string `json:"error"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func refuse(status int, format string, args ...any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}
