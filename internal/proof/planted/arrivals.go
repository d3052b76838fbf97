//go:build unix

package main

// arrivalBugs are in what becomes of events: numbering, matching, delivering.
func arrivalBugs() []bug {
	const (
		courier = "internal/delivery/courier.go"
		intake  = "internal/sqlstore/intake.go"
		webhook = "internal/sink/webhook/webhook.go"
	)
	arrivals, calm := check{round: "arrivals"}, check{round: "calm"}
	return []bug{
		{
			name: "a push is answered a moment before it is stored with its deliveries", breaks: "INV-13",
			edits: []edit{
				{"push/handler.go", "\tvar outcome Outcome\n\tf.err = h.guard(", "\tvar outcome Outcome\n\tclose(f.stored)\n\ttime.Sleep(20 * time.Millisecond)\n\tf.err = h.guard("},
				{"push/handler.go", "\tclose(f.stored)\n\tif f.err != nil {", "\tif f.err != nil {"},
				{"push/handler.go", "\ttimer.Reset(time.Until(start.Add(h.config.ReplyTimeout)))\n", "\tif p.MsgType != \"\" {\n\t\treturn nil, result\n\t}\n\ttimer.Reset(time.Until(start.Add(h.config.ReplyTimeout)))\n"},
			},
			check: arrivals, says: "INV-13 ",
		},
		{
			name: "copies of a push are told apart", breaks: "INV-15",
			edits: []edit{{"keeper/intake.go", "\tin.Routes = k.cfg.Router.Routes(ctx, in.Push, p)\n", "\tif p.MsgType != \"\" {\n\t\tin.Push.Key += strconv.FormatInt(time.Now().UnixNano(), 36)\n\t}\n\tin.Routes = k.cfg.Router.Routes(ctx, in.Push, p)\n"}},
			check: arrivals, says: "INV-15 ",
		},
		{
			name: "one event in a hundred has no deliveries", breaks: "INV-16",
			edits: []edit{{intake, "\t\tfor _, r := range i.routes {\n\t\t\tdue", "\t\tfor _, r := range i.routes {\n\t\t\tif ids[i.push.Key]%100 == 7 {\n\t\t\t\tcontinue\n\t\t\t}\n\t\t\tdue"}},
			check: calm, says: "has neither come to",
		},
		{
			name: "a delivery is marked before it is made", breaks: "INV-16",
			edits: []edit{{courier, "\t\tat, began := c.d.clock.Now(), time.Now()\n", "\t\tat, began := c.d.clock.Now(), time.Now()\n\t\tmarked := d\n\t\tmarked.State, marked.FinishedAt = store.DeliveryDelivered, at\n\t\t_ = c.d.cfg.Store.SaveDeliveries(c.sends, []store.Delivery{marked})\n"}},
			check: arrivals, says: "has neither come to",
		},
		{
			name: "a refusal counts as a delivery", breaks: "INV-16",
			edits: []edit{{webhook, "answer.StatusCode > 299 {", "answer.StatusCode > 599 {"}},
			check: calm, says: "has neither come to",
		},
		{
			name: "a delivery that failed is never tried again by the process that made it", breaks: "INV-16",
			edits: []edit{{courier, "\t\t\t\tc.unbusy(d.Event.ID)\n", "\t\t\t\tif d.State != store.DeliveryPending {\n\t\t\t\t\tc.unbusy(d.Event.ID)\n\t\t\t\t}\n"}},
			check: calm, says: "still waits for",
		},
		{
			name: "pushes are taken before it is known who subscribes", breaks: "INV-16",
			edits: []edit{{"internal/server/subscribers.go", "\tif err = t.set.Load(ctx); err != nil {", "\tif err = ctx.Err(); err != nil {"}},
			check: arrivals, says: "has neither come to",
		},
		{
			name: "the signature does not cover the id", breaks: "INV-16",
			edits: []edit{{"internal/sink/webhook/signed.go", "key.signer.Sign(m.ID, at, body)", "key.signer.Sign(\"\", at, body)"}},
			check: calm, says: "its signature is not good",
		},
		{
			name: "every attempt has an id of its own", breaks: "INV-17",
			edits: []edit{{courier, "sink.Message{ID: event.ID(d.Event.Key), Event: d.Event, Attempt", "sink.Message{ID: event.ID(fmt.Sprint(d.Event.Key, d.Attempts)), Event: d.Event, Attempt"}},
			check: calm, says: "its id differs from the header's",
		},
		{
			name: "an event in a hundred is delivered twice", breaks: "INV-17",
			edits: []edit{{courier, "\t\tlatency, cut := ", "\t\tif err == nil && d.Event.ID%100 == 7 {\n\t\t\ttime.Sleep(time.Second)\n\t\t\treceipt, err = send(c.sends, o.sink, sink.Message{ID: event.ID(d.Event.Key), Event: d.Event, Attempt: d.Attempts + 1})\n\t\t}\n\t\tlatency, cut := "}},
			check: calm, says: "made again without a reason",
		},
		{
			name: "pushes that are stored together have one number", breaks: "INV-18",
			edits: []edit{{intake, "\t\tnumbers[n].seq = account.seq\n\t\taccount.seq--\n", "\t\tnumbers[n].seq = account.seq\n"}},
			check: arrivals, says: "INV-18 ",
		},
		{
			name: "order is not kept", breaks: "INV-18",
			edits: []edit{{courier, "queue: newQueue(s.Spec.Ordered),", "queue: newQueue(false),"}},
			check: calm, says: "INV-18 ",
		},
		{
			name: "tickets are delivered", breaks: "INV-22",
			edits: []edit{{"internal/event/event.go", "return kind != \"component_verify_ticket\"", "return kind != \"\""}},
			check: calm, says: "INV-22 ",
		},
		{
			name: "what users write is stored in the clear, in the keys of their pushes", breaks: "INV-22",
			edits: []edit{{"keeper/intake.go", "\tin.Routes = k.cfg.Router.Routes(ctx, in.Push, p)\n", "\tin.Push.Key += p.Field(\"Content\")\n\tin.Routes = k.cfg.Router.Routes(ctx, in.Push, p)\n"}},
			check: calm, says: "INV-22 ",
		},
		{
			name: "a redirect is followed", breaks: "INV-26",
			edits: []edit{{webhook, "w.cfg.Guard.Transport().RoundTrip(r)", "(&http.Client{Transport: w.cfg.Guard.Transport()}).Do(r)"}},
			check: calm, says: "INV-26 ",
		},
		{
			name: "an address is checked before its name is resolved", breaks: "INV-26",
			edits: []edit{{"internal/egress/egress.go", "\t\treturn check(to.Addr())\n", "\t\t_ = check(to.Addr())\n\t\treturn nil\n"}},
			check: check{pkg: "./internal/egress", run: "^TestRebinding$"}, says: "--- FAIL: TestRebinding",
		},
		{
			name: "a lease on delivering is believed in after its end", breaks: "INV-17",
			edits: []edit{{courier, "= asked.Add(leaseTTL-leaseMargin), asked", "= asked.Add(100*leaseTTL), asked"}},
			check: check{pkg: "./internal/delivery", run: "^TestLeaseLost$"}, says: "--- FAIL: TestLeaseLost",
		},
	}
}
