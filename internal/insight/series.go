package insight

import "time"

// Totals is what happened in a while. Times are in milliseconds, and 0 where there was
// nothing to take the time of.
type Totals struct {
	Refreshes        int64   `json:"refreshes"`
	RefreshFailures  int64   `json:"refresh_failures"`
	RefreshP50       float64 `json:"refresh_ms_p50" doc:"Half of the refreshes took no longer, in milliseconds · 刷新耗时中位数（毫秒）"`
	RefreshP95       float64 `json:"refresh_ms_p95"`
	Pushes           int64   `json:"pushes"`
	PushesRefused    int64   `json:"pushes_refused" doc:"Not authentic, or not stored · 被拒绝或未能保存的推送"`
	PushP95          float64 `json:"push_ms_p95"`
	Deliveries       int64   `json:"deliveries" doc:"Attempts · 投递尝试次数"`
	DeliveryFailures int64   `json:"delivery_failures"`
	Gateway          int64   `json:"gateway"`
	GatewayFailures  int64   `json:"gateway_failures" doc:"Refused by WeChat or by the gateway · 被微信或网关拒绝的调用"`
}

// Point is what happened in one step of a series.
type Point struct {
	At time.Time `json:"at" doc:"When the step began · 该时段的开始时间"`
	Totals
	GatewayP95     float64 `json:"gateway_ms_p95"`
	WeChatCalls    int64   `json:"wechat_calls"`
	WeChatRefusals int64   `json:"wechat_refusals"`
	Pending        int     `json:"pending" doc:"Deliveries that waited then · 当时待投递数"`
	Dead           int     `json:"dead" doc:"Dead letters then · 当时死信数"`
}

// Series is what happened, step by step, the oldest first.
type Series struct {
	StepSeconds int       `json:"step_seconds"`
	Since       time.Time `json:"since" doc:"When this replica began to record · 本实例开始记录的时间"`
	Points      []Point   `json:"points"`
}

func (s *sample) totals() Totals {
	return Totals{
		Refreshes: s.refreshes.all, RefreshFailures: s.refreshes.failed,
		RefreshP50: s.refreshTime.quantile(0.5), RefreshP95: s.refreshTime.quantile(0.95),
		Pushes: s.pushes.all, PushesRefused: s.pushes.failed, PushP95: s.pushTime.quantile(0.95),
		Deliveries: s.deliveries.all, DeliveryFailures: s.deliveries.failed,
		Gateway: s.gateway.all, GatewayFailures: s.gateway.failed,
	}
}

// LastFiveMinutes sums up the last five minutes, the step under way included.
func (r *Recorder) LastFiveMinutes() Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum sample
	last := r.fine.step(time.Now())
	for step := last - int64(5*time.Minute/FineStep) + 1; step <= last; step++ {
		if s := r.fine.find(step); s != nil {
			sum.merge(s)
		}
	}
	return sum.totals()
}

// Series returns the last minutes, at most those of a day: in steps of ten seconds up to
// an hour, of a minute beyond. It begins no earlier than recording did, and ends with the
// step under way.
func (r *Recorder) Series(minutes int) Series {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := &r.fine
	if time.Duration(minutes)*time.Minute > FineReach {
		from = &r.coarse
	}
	series := Series{StepSeconds: int(from.length / time.Second), Since: r.since.UTC(), Points: []Point{}}
	last := from.step(time.Now())
	steps := min(int64(time.Duration(minutes)*time.Minute/from.length), int64(len(from.samples)))
	var pending, dead int // stay what they were until they are sampled again
	for step := max(last-steps+1, from.step(r.since)); step <= last; step++ {
		point := Point{At: time.Unix(0, step*int64(from.length)).UTC()}
		if s := from.find(step); s != nil {
			if s.sampled {
				pending, dead = s.pending, s.dead
			}
			point.Totals, point.GatewayP95 = s.totals(), s.gatewayTime.quantile(0.95)
			point.WeChatCalls, point.WeChatRefusals = s.calls.all, s.calls.failed
		}
		point.Pending, point.Dead = pending, dead
		series.Points = append(series.Points, point)
	}
	return series
}
