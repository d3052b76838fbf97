package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// shop is a merchant of the demo's.
type shop struct {
	account, kind, name string
	tags                []string
	sets                []int // permission sets; nil: all of the component's
}

// shops are the merchants that have authorized before a visitor comes. The last is the
// one in trouble.
func shops() []shop {
	return []shop{
		{"wx00000000000000c1", "official_account", "晨光书店 Dawn Books", []string{"华东 east", "VIP"}, nil},
		{"wx00000000000000c2", "official_account", "阿里山茶行 Alishan Tea", []string{"华南 south"}, []int{1, 2, 7, 15}},
		{"wx00000000000000c3", "mini_program", "快递柜 Parcel Locker", []string{"华东 east"}, nil},
		{"wx00000000000000c4", "mini_program", "社区菜场 Corner Market", []string{"华北 north", "VIP"}, []int{18, 19, 30}},
		{"wx00000000000000c5", "official_account", "口腔诊所 Bright Dental", []string{"华北 north"}, nil},
		{"wx00000000000000c6", "mini_program", "健身打卡 Gym Buddy", []string{"华南 south"}, nil},
		{"wx00000000000000c7", "official_account", "老城面馆 Old Town Noodles", []string{"华东 east"}, []int{1, 15}},
		{"wx00000000000000c8", "official_account", "失联奶茶 Lost Milk Tea", []string{"华南 south"}, nil},
	}
}

// populate lets some time have passed: merchants have authorized, one of them is in
// trouble, a subscriber was away for too long. It tells of each step.
func (s *stage) populate(ctx context.Context, j *journey, tell func(done, total int)) error {
	all := shops()
	steps := len(all) + 2
	for i, m := range all {
		if err := s.join(ctx, j, m); err != nil {
			return fmt.Errorf("%s: %w", m.account, err)
		}
		tell(i+1, steps)
	}
	if err := s.loseTouch(ctx, j, all[len(all)-1]); err != nil {
		return err
	}
	if err := s.freshen(ctx, j, all[:len(all)-1]); err != nil {
		return err
	}
	tell(len(all)+1, steps)
	if err := s.buryOne(ctx, j, all[0]); err != nil {
		return err
	}
	tell(steps, steps)
	return nil
}

// join has a merchant authorize.
func (s *stage) join(ctx context.Context, j *journey, m shop) error {
	account := map[string]any{"appid": m.account, "kind": m.kind, "nick_name": m.name}
	if err := j.control.call(ctx, http.MethodPost, "/accounts", account, nil); err != nil {
		return err
	}
	confirm := map[string]any{"component_appid": j.component}
	if m.sets != nil {
		confirm["permission_sets"] = m.sets
	}
	var a authorizer
	err := eventually(ctx, patience, func(ctx context.Context) error {
		if err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers/"+m.account, nil, &a); err == nil && a.State == "active" {
			return nil
		}
		if err := j.control.call(ctx, http.MethodPost, "/accounts/"+m.account+"/authorize", confirm, nil); err != nil {
			return err
		}
		return eventually(ctx, 5*time.Second, func(ctx context.Context) error {
			if err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers/"+m.account, nil, &a); err != nil {
				return err
			}
			if a.State != "active" {
				return fmt.Errorf("the authorizer is %s", a.State)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return j.rest.call(ctx, http.MethodPut, "/v1/authorizers/"+m.account+"/tags", map[string]any{"tags": m.tags}, nil)
}

// faultsNow reads the simulator's faults, and returns what puts them back.
func faultsNow(ctx context.Context, j *journey) (putBack func() error, err error) {
	var before map[string]any
	if err := j.control.call(ctx, http.MethodGet, "/faults", nil, &before); err != nil {
		return nil, err
	}
	return func() error {
		return j.control.call(context.WithoutCancel(ctx), http.MethodPut, "/faults", before, nil)
	}, nil
}

// loseTouch has a merchant take the authorization back while WeChat's push about it gets
// lost, so that only the next refresh finds out.
func (s *stage) loseTouch(ctx context.Context, j *journey, m shop) (err error) {
	putBack, err := faultsNow(ctx, j)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, putBack()) }()
	if err := j.control.call(ctx, http.MethodPut, "/faults", map[string]any{"lost_push": 1}, nil); err != nil {
		return err
	}
	if err := j.control.call(ctx, http.MethodPost, "/accounts/"+m.account+"/unauthorize", map[string]any{"component_appid": j.component}, nil); err != nil {
		return err
	}
	return eventually(ctx, patience, func(ctx context.Context) error {
		var a authorizer
		if err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers/"+m.account, nil, &a); err != nil {
			return err
		}
		if a.State == "needs_reauthorization" {
			return nil
		}
		// One denial is not believed; the second look comes some seconds later.
		_ = j.rest.call(ctx, http.MethodPost, "/v1/authorizers/"+m.account+"/refresh", nil, nil)
		if err := j.control.call(ctx, http.MethodPost, "/clock", map[string]string{"advance": "11s"}, nil); err != nil {
			return err
		}
		return fmt.Errorf("the authorizer is %s", a.State)
	})
}

// freshen has the tokens of merchants refreshed once, as happens every two hours.
func (s *stage) freshen(ctx context.Context, j *journey, shops []shop) error {
	for _, m := range shops {
		err := eventually(ctx, patience, func(ctx context.Context) error {
			return j.rest.call(ctx, http.MethodPost, "/v1/authorizers/"+m.account+"/refresh", nil, nil)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", m.account, err)
		}
	}
	return nil
}

// buryOne lets an event to a second subscriber become a dead letter: that service is away
// for longer than the event is tried for. Then the service is well, and waits for a replay.
func (s *stage) buryOne(ctx context.Context, j *journey, m shop) error {
	var made struct {
		ID     string `json:"id"`
		Secret string `json:"signing_secret"`
	}
	if err := j.rest.call(ctx, http.MethodPost, "/v1/subscriptions", map[string]any{
		"name": "库存同步 inventory", "max_age": 60, "match": map[string]any{"kinds": []string{"text"}}, "sink": map[string]any{"type": "webhook", "url": s.inventory.url},
	}, &made); err != nil {
		return err
	}
	if err := s.inventory.trust(made.Secret); err != nil {
		return err
	}
	s.inventory.leave(true)
	defer s.inventory.leave(false)
	err := eventually(ctx, patience, func(ctx context.Context) error {
		_, err := j.push(ctx, "/accounts/"+m.account+"/messages", map[string]any{
			"component_appid": j.component, "from": "oReader7", "type": "text", "content": "《城南旧事》还有货吗? Is it in stock?",
		})
		return err
	})
	if err != nil {
		return err
	}
	return eventually(ctx, patience, func(ctx context.Context) error {
		var dead struct{ Items []json.RawMessage }
		if err := j.rest.call(ctx, http.MethodGet, "/v1/deliveries?state=dead&subscription="+made.ID, nil, &dead); err != nil {
			return err
		}
		if len(dead.Items) > 0 {
			return nil
		}
		if err := j.control.call(ctx, http.MethodPost, "/clock", map[string]string{"advance": "20s"}, nil); err != nil {
			return err
		}
		return errors.New("the event is not given up yet")
	})
}

// live keeps things going until ctx ends: users write, a service calls WeChat through
// the gateway, and now and then WeChat ends a token early.
func (s *stage) live(ctx context.Context, j *journey) error {
	var key struct{ Key string }
	scope := map[string]any{"operations": []string{"gateway:call"}}
	if err := j.rest.call(ctx, http.MethodPost, "/v1/api-keys", map[string]any{"name": "crm", "scope": scope}, &key); err != nil {
		return err
	}
	crm := j.gateway
	crm.key = key.Key
	all := shops()
	all = all[:len(all)-1]
	words := []string{
		"在吗? Anybody there?", "几点开门? When do you open?", "今天有什么优惠? Any offers today?", "订单什么时候发货? When will my order ship?",
		"谢谢! Thank you!", "可以开发票吗? May I have an invoice?", "地址在哪里? Where are you?",
	}
	dice := mathrand.New(mathrand.NewPCG(s.options.Seed, 6))
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		m, word, user := all[dice.IntN(len(all))], words[dice.IntN(len(words))], fmt.Sprintf("oGuest%02d", dice.IntN(40))
		calls.Go(func() { // what fails shows in the console, like everything else
			_ = j.control.call(ctx, http.MethodPost, "/accounts/"+m.account+"/messages", map[string]any{
				"component_appid": j.component, "from": user, "type": "text", "content": word,
			}, nil)
			path := "/cgi-bin/user/get"
			if m.kind == "mini_program" {
				path = "/wxa/get_page"
			}
			_ = crm.call(ctx, http.MethodGet, "/as/"+m.account+path, nil, nil)
			if n%15 == 0 {
				_ = j.control.call(ctx, http.MethodPost, "/tokens/expire", map[string]string{"component_appid": j.component, "authorizer_appid": m.account}, nil)
				_ = crm.call(ctx, http.MethodGet, "/as/"+m.account+path, nil, nil)
			}
		})
	}
}

// visitor is who signs in to the console of the demo.
const visitor = "demo"

// admitVisitor makes the visitor's user and returns the password. Another demo on the
// same directory may have made one, which gets another password.
func (s *stage) admitVisitor(ctx context.Context, j *journey) (string, error) {
	password := strings.ToLower(rand.Text()[:16])
	user := map[string]any{"name": visitor, "full_name": "演示 Demo", "role": "owner", "password": password}
	err := j.rest.call(ctx, http.MethodPost, "/v1/users", user, nil)
	var refused *status
	if !errors.As(err, &refused) || refused.Code != http.StatusConflict {
		return password, err
	}
	var users struct{ Items []struct{ ID, Name string } }
	if err := j.rest.call(ctx, http.MethodGet, "/v1/users", nil, &users); err != nil {
		return "", err
	}
	for _, u := range users.Items {
		if u.Name == visitor {
			var reset struct {
				Password string `json:"initial_password"`
			}
			err := j.rest.call(ctx, http.MethodPost, "/v1/users/"+u.ID+"/password", struct{}{}, &reset)
			return reset.Password, err
		}
	}
	return "", err
}
