package obs

import (
	"context"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what happens. Make it with [NewMetrics].
type Metrics struct {
	registry *prometheus.Registry

	pushes          *prometheus.CounterVec
	pushDuration    *prometheus.HistogramVec
	operations      *prometheus.CounterVec
	operationTime   *prometheus.HistogramVec
	refusals        *prometheus.CounterVec
	calls           *prometheus.CounterVec
	callDuration    *prometheus.HistogramVec
	requests        *prometheus.CounterVec
	requestDuration *prometheus.HistogramVec
	gateway         *prometheus.CounterVec
	gatewayDuration *prometheus.HistogramVec
	gatewayBytes    *prometheus.CounterVec
	deliveries      *prometheus.CounterVec
	deliveryTime    *prometheus.HistogramVec
	deliveryLag     *prometheus.HistogramVec
	replies         *prometheus.CounterVec
}

// NewMetrics makes the metrics, all of them named tuoguan_…, beside those of the
// Go runtime and of the process.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tuoguan_" + name, Help: help}, labels)
	}
	seconds := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tuoguan_" + name, Help: help, Buckets: []float64{.001, .005, .025, .1, .5, 1, 2.5, 5, 10},
		}, labels)
	}
	m := &Metrics{
		registry:        prometheus.NewRegistry(),
		pushes:          counter("pushes_total", "Pushes received, by URL and by what became of them.", "url", "outcome"),
		pushDuration:    seconds("push_duration_seconds", "Time to answer a push; WeChat waits five seconds.", "url"),
		operations:      counter("operations_total", "What was done to keep authorizations: refresh, exchange, recovery and so on.", "kind", "result"),
		operationTime:   seconds("operation_duration_seconds", "Time that an operation took.", "kind"),
		refusals:        counter("wechat_refusals_total", "Refusals by WeChat, by errcode.", "errcode"),
		calls:           counter("wechat_calls_total", "Calls to WeChat, by result: ok, refused, unanswered.", "op", "result"),
		callDuration:    seconds("wechat_call_duration_seconds", "Time until WeChat answered.", "op"),
		requests:        counter("http_requests_total", "Requests served, by route.", "listener", "route", "status"),
		requestDuration: seconds("http_request_duration_seconds", "Time to serve a request, by route.", "listener", "route"),
		gateway:         counter("gateway_requests_total", "Requests to the gateway, by WeChat's endpoint and by result: ok, refused by WeChat, or the problem answered.", "endpoint", "result"),
		gatewayDuration: seconds("gateway_request_duration_seconds", "Time to serve a request to the gateway, bodies included.", "endpoint"),
		gatewayBytes:    counter("gateway_bytes_total", "Bytes of bodies, as received from callers and as sent to them.", "direction"),
		deliveries:      counter("deliveries_total", "Attempts to deliver an event, by where to and by what became of them.", "sink", "result"),
		deliveryTime:    seconds("delivery_duration_seconds", "Time until the other side answered.", "sink"),
		deliveryLag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tuoguan_delivery_lag_seconds", Help: "Time from the arrival of an event to its delivery.", Buckets: []float64{.01, .05, .25, 1, 5, 30, 300, 3600, 21600, 86400},
		}, []string{"sink"}),
		replies: counter("replies_total", "Passive replies asked for, by what became of them.", "result"),
	}
	version := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tuoguan_build_info", Help: "Always 1; the version is in the label.", ConstLabels: prometheus.Labels{"version": Version()},
	})
	version.Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), version,
		m.pushes, m.pushDuration, m.operations, m.operationTime, m.refusals, m.calls, m.callDuration, m.requests, m.requestDuration,
		m.gateway, m.gatewayDuration, m.gatewayBytes,
		m.deliveries, m.deliveryTime, m.deliveryLag, m.replies,
	)
	return m
}

// Version returns the version of the program as recorded by the Go toolchain.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// Handler serves the metrics in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 5 * time.Second})
}

// Push counts a push. URL is event or message; outcome is out of a small set.
func (m *Metrics) Push(url, outcome string, took time.Duration) {
	m.pushes.WithLabelValues(url, outcome).Inc()
	m.pushDuration.WithLabelValues(url).Observe(took.Seconds())
}

// Operation counts an operation of the keeper. Kind and result are out of small
// sets. A zero duration is not recorded.
func (m *Metrics) Operation(kind, result string, took time.Duration) {
	m.operations.WithLabelValues(kind, result).Inc()
	if took > 0 {
		m.operationTime.WithLabelValues(kind).Observe(took.Seconds())
	}
}

// Call counts a call to WeChat. An op that is a path counts as "other".
func (m *Metrics) Call(op, result string, took time.Duration) {
	if strings.Contains(op, "/") {
		op = "other"
	}
	m.calls.WithLabelValues(op, result).Inc()
	m.callDuration.WithLabelValues(op).Observe(took.Seconds())
}

// Refusal counts an errcode of WeChat's; one that is not known counts as "other".
func (m *Metrics) Refusal(errcode int, known bool) {
	label := "other"
	if known {
		label = strconv.Itoa(errcode)
	}
	m.refusals.WithLabelValues(label).Inc()
}

// Gateway counts a request to the gateway. Endpoint and result are out of small sets.
func (m *Metrics) Gateway(endpoint, result string, took time.Duration, received, sent int64) {
	m.gateway.WithLabelValues(endpoint, result).Inc()
	m.gatewayDuration.WithLabelValues(endpoint).Observe(took.Seconds())
	m.gatewayBytes.WithLabelValues("received").Add(float64(received))
	m.gatewayBytes.WithLabelValues("sent").Add(float64(sent))
}

// Delivery counts an attempt to deliver an event. Sink and result are out of small sets;
// a lag of zero is not recorded.
func (m *Metrics) Delivery(sink, result string, took, lag time.Duration) {
	m.deliveries.WithLabelValues(sink, result).Inc()
	m.deliveryTime.WithLabelValues(sink).Observe(took.Seconds())
	if lag > 0 {
		m.deliveryLag.WithLabelValues(sink).Observe(lag.Seconds())
	}
}

// Reply counts a passive reply that was asked for. Result is out of a small set.
func (m *Metrics) Reply(result string) { m.replies.WithLabelValues(result).Inc() }

// Count wraps the handler of a listener, counting its requests by the pattern of
// the route that served them.
func (m *Metrics) Count(listener string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		route := r.Pattern // set by the mux on the request it was given
		if route == "" {
			route = "none"
		}
		m.requests.WithLabelValues(listener, route, strconv.Itoa(recorder.status)).Inc()
		m.requestDuration.WithLabelValues(listener, route).Observe(time.Since(began).Seconds())
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Snapshot is what the gauges show.
type Snapshot struct {
	Components    []ComponentSnapshot
	Subscriptions []SubscriptionSnapshot
	Problems      map[string]int // by code
}

// SubscriptionSnapshot is the part of one subscription.
type SubscriptionSnapshot struct {
	ID      string
	Pending int
	Dead    int
}

// ComponentSnapshot is the part of one component.
type ComponentSnapshot struct {
	AppID          string
	TicketAge      time.Duration    // negative: there is no ticket
	TokenExpiresIn time.Duration    // negative: expired, or there is none
	Authorizers    map[string]int64 // by state
}

// Watch adds gauges whose values are taken from read when they are asked for. Read
// gets a context that ends after a few seconds.
func (m *Metrics) Watch(read func(context.Context) (Snapshot, error)) {
	m.registry.MustRegister(&watch{read: read})
}

type watch struct {
	read func(context.Context) (Snapshot, error)
}

var (
	ticketAgeDesc   = prometheus.NewDesc("tuoguan_ticket_age_seconds", "Age of the newest verify ticket; -1 if there is none.", []string{"component_appid"}, nil)
	tokenExpiryDesc = prometheus.NewDesc("tuoguan_component_token_expires_in_seconds", "Remaining life of the component access token.", []string{"component_appid"}, nil)
	authorizersDesc = prometheus.NewDesc("tuoguan_authorizers", "Authorizations by state.", []string{"component_appid", "state"}, nil)
	pendingDesc     = prometheus.NewDesc("tuoguan_deliveries_pending", "Events that wait to be delivered, counted up to 10,000.", []string{"subscription"}, nil)
	deadDesc        = prometheus.NewDesc("tuoguan_deliveries_dead", "Events that were given up, counted up to 10,000.", []string{"subscription"}, nil)
	problemsDesc    = prometheus.NewDesc("tuoguan_problems", "Problems that /readyz names, by code.", []string{"code"}, nil)
	watchDesc       = prometheus.NewDesc("tuoguan_status_readable", "1 if the state could be read for this scrape.", nil, nil)
)

func (w *watch) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ticketAgeDesc, tokenExpiryDesc, authorizersDesc, pendingDesc, deadDesc, problemsDesc, watchDesc} {
		descriptions <- d
	}
}

func (w *watch) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	snapshot, err := w.read(ctx)
	if err != nil {
		gauge(watchDesc, 0)
		return
	}
	gauge(watchDesc, 1)
	for _, c := range snapshot.Components {
		age := c.TicketAge.Seconds()
		if c.TicketAge < 0 {
			age = -1
		}
		gauge(ticketAgeDesc, age, c.AppID)
		gauge(tokenExpiryDesc, c.TokenExpiresIn.Seconds(), c.AppID)
		for state, count := range c.Authorizers {
			gauge(authorizersDesc, float64(count), c.AppID, state)
		}
	}
	for _, sub := range snapshot.Subscriptions {
		gauge(pendingDesc, float64(sub.Pending), sub.ID)
		gauge(deadDesc, float64(sub.Dead), sub.ID)
	}
	for code, count := range snapshot.Problems {
		gauge(problemsDesc, float64(count), code)
	}
}
