package simulator_test

import (
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
)

// careful is a client that survives a hostile platform: it repeats what can be
// repeated, and recovers what it cannot know.
type careful struct{ *world }

// until repeats a call until the reply holds a field, with a new component token
// where the old one is refused. It returns the first other errcode it meets.
func (c careful) until(token *string, path, want string, body map[string]any) (map[string]any, int) {
	for range 200 {
		reply, err := c.tryCall(path, url.Values{"component_access_token": {*token}}, body)
		if err != nil {
			time.Sleep(time.Second)
			continue
		}
		_, found := reply[want]
		errcode := code(reply)
		switch {
		case found:
			return reply, 0
		case errcode == 40001 || errcode == 42001 || errcode == 61006:
			*token = c.mint()
		case errcode == 61009, errcode == 61023:
			return nil, errcode
		default:
			time.Sleep(time.Second) // busy, or a 61003 that is not to be believed
		}
	}
	c.t.Errorf("%s never succeeded", path)
	return nil, -1
}

func (c careful) mint() string {
	for {
		tickets := c.receiver.of("component_verify_ticket")
		reply, err := c.tryCall(api+"api_component_token", nil, map[string]any{
			"component_appid": c.component.AppID, "component_appsecret": c.component.Secret,
			"component_verify_ticket": tickets[len(tickets)-1].ComponentVerifyTicket,
		})
		if err == nil && field(reply, "component_access_token") != "" {
			return field(reply, "component_access_token")
		}
		time.Sleep(time.Second)
	}
}

// recover asks for the refresh token in force.
func (c careful) recover(token *string, appid string) string {
	reply, errcode := c.until(token, api+"api_get_authorizer_info", "authorization_info", map[string]any{"component_appid": c.component.AppID, "authorizer_appid": appid})
	if errcode != 0 {
		c.t.Errorf("%s is lost: %d", appid, errcode)
	}
	return field(reply, "authorization_info", "authorizer_refresh_token")
}

// TestHostileIsSurvivable lets accounts be authorized and refreshed for a day
// while everything fails. No authorization may be lost for good.
func TestHostileIsSurvivable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newWorld(t, func(c *simulator.Config) { c.Faults = simtest.Faults(t, simulator.PresetHostile) })
		if result, err := w.PushTicket(t.Context(), w.component.AppID); err != nil || !result.Accepted {
			t.Fatalf("ticket: %+v, %v", result, err)
		}
		c := careful{w}
		var group sync.WaitGroup
		for range 10 {
			a := w.account(simulator.OfficialAccount)
			group.Go(func() {
				done, err := w.Authorize(t.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: w.component.AppID})
				if err != nil || !done.Accepted {
					t.Errorf("authorize: %+v, %v", done.PushResult, err)
				}
				token := c.mint()
				reply, errcode := c.until(&token, api+"api_query_auth", "authorization_info", map[string]any{"component_appid": w.component.AppID, "authorization_code": done.AuthorizationCode})
				refresh := field(reply, "authorization_info", "authorizer_refresh_token")
				if errcode != 0 {
					refresh = c.recover(&token, a.AppID)
				}
				for range 12 {
					time.Sleep(2 * time.Hour)
					reply, errcode := c.until(&token, api+"api_authorizer_token", "authorizer_access_token", map[string]any{
						"component_appid": w.component.AppID, "authorizer_appid": a.AppID, "authorizer_refresh_token": refresh,
					})
					if errcode == 61023 {
						refresh = c.recover(&token, a.AppID)
					} else if next := field(reply, "authorizer_refresh_token"); next != "" {
						refresh = next
					}
				}
				if known := c.recover(&token, a.AppID); known == "" {
					t.Errorf("%s has no refresh token", a.AppID)
				}
			})
		}
		// The ticket of the start expires after twelve hours.
		group.Go(func() {
			for range 24 {
				time.Sleep(time.Hour)
				if _, err := w.PushTicket(t.Context(), w.component.AppID); err != nil {
					t.Error(err)
				}
			}
		})
		group.Wait()
		w.Close()
	})
}
