package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// visit prints the links that a person opens next, and tells what happens.
func (s *stage) visit(ctx context.Context) error {
	j := s.journey()
	out := s.options.Out
	if err := s.awaitReady(ctx); err != nil {
		return err
	}
	if err := eventually(ctx, patience, func(ctx context.Context) error {
		_, err := j.push(ctx, "/components/"+j.component+"/ticket", nil)
		return err
	}); err != nil {
		return err
	}
	if _, err := j.serviceSubscribes(ctx); err != nil {
		return err
	}
	if err := s.populate(ctx, j, func(done, total int) {
		fmt.Fprintf(out, "\r商家入驻 · merchants authorize  %s%s  %d/%d", strings.Repeat("█", done), strings.Repeat("░", total-done), done, total)
	}); err != nil {
		return err
	}
	fmt.Fprintln(out)
	password, err := s.admitVisitor(ctx, j)
	if err != nil {
		return err
	}
	link, err := j.newLink(ctx)
	if err != nil {
		return err
	}
	control := j.control.base
	fmt.Fprintf(out, `
托管演示已就绪 · The demo is ready (faults: %[1]s, seed %[2]d)

  1  打开控制台 · Open the console:
         %[4]s/console/
         用户 user: %[12]s        密码 password: %[11]s
  2  打开授权链接,用模拟手机“扫码”并确认 · Open the authorization link, "scan" and confirm:
         %[3]s
  3  作为用户给该账号发消息,由订阅了事件的业务回复 · Write to the account as a user; a service that subscribes to events answers:
         curl -d '{"from":"oUser1","type":"text","content":"hello"}' %[5]s/accounts/%[6]s/messages
  4  让两小时过去,看令牌提前刷新 · Let time pass and see the token refreshed ahead of its end:
         curl -d '{"advance":"90m"}' %[5]s/clock
  5  取令牌 · Get a token:
         curl -H "Authorization: Bearer %[7]s" %[4]s/v1/authorizers/%[6]s/access-token
  6  不持任何凭据调用微信 · Call WeChat without any of its credentials:
         curl -H "Authorization: Bearer %[7]s" %[10]s/as/%[6]s/cgi-bin/user/get
  7  看已投递的事件 · See what was delivered:
         curl -H "Authorization: Bearer %[7]s" "%[4]s/v1/events?order=desc"
  8  全网发布检测 · The release check:
         curl -X POST %[5]s/components/%[8]s/release-check

  日志 · Log: %[9]s        Ctrl-C 结束 · ends the demo

`, s.options.Faults, s.options.Seed, link, j.admin.base, control, merchant, j.rest.key, j.component, s.logFile.Name(), j.gateway.base, password, visitor)
	going, ctx := errgroup.WithContext(ctx)
	going.Go(func() error { return s.live(ctx, j) })
	going.Go(func() error { return s.narrate(ctx, j) })
	return going.Wait()
}

// firstRun prints what a new installation's operator has at hand: the set-up token, which
// the server has logged, and what WeChat's console shows of the component.
func (s *stage) firstRun(ctx context.Context) error {
	if err := s.awaitReady(ctx); err != nil {
		return err
	}
	admin := s.journey().admin
	var token string
	err := eventually(ctx, patience, func(ctx context.Context) error {
		if err := admin.call(ctx, http.MethodGet, "/v1/setup", nil, nil); err != nil { // has one logged
			return err
		}
		log, err := os.ReadFile(s.logFile.Name())
		if err != nil {
			return err
		}
		found := setupToken.FindAllSubmatch(log, -1)
		if len(found) == 0 {
			return errors.New("the log has no set-up token")
		}
		token = string(found[len(found)-1][1])
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.options.Out, `
全新安装已就绪 · A new installation is ready (faults: %[1]s, seed %[2]d)

  打开控制台,跟随向导 · Open the console and follow the wizard:
         %[3]s/console/
         设置令牌 set-up token: %[4]s

  微信第三方平台后台所示 · What WeChat's console shows of the component:
         AppID            %[5]s
         AppSecret        %[6]s
         Token            %[7]s
         EncodingAESKey   %[8]s

  登记后立即推送 ticket · Push a verify ticket once it is registered, or wait for the next one:
         curl -X POST %[9]s/components/%[5]s/ticket

  日志 · Log: %[10]s        Ctrl-C 结束 · ends the demo

`, s.options.Faults, s.options.Seed, admin.base, token, s.component.AppID, s.component.Secret, s.component.Token, s.component.EncodingAESKey, s.journey().control.base, s.logFile.Name())
	<-ctx.Done()
	return nil
}

var setupToken = regexp.MustCompile(`"set_up_with":"([^"]+)"`)

func (j *journey) newLink(ctx context.Context) (string, error) {
	err := j.rest.call(ctx, http.MethodPost, "/v1/authorization-links", map[string]any{
		"component_appid": j.component, "reference": "visitor", "auth_type": 3,
	}, &j.link)
	return j.link.URL, err
}

// narrate prints what is going on between the two sides until ctx ends.
func (s *stage) narrate(ctx context.Context, j *journey) error {
	ticker := time.NewTicker(300 * time.Millisecond)
	defer ticker.Stop()
	seen := make(map[string]string)
	last, heard := uint64(0), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, e := range s.sim.Journal(last, 1000) {
			last = e.Seq
			if text := tell(e); text != "" {
				fmt.Fprintf(s.options.Out, "%s  %s\n", time.Now().Format(time.TimeOnly), text)
			}
		}
		for _, e := range s.service.since(heard) {
			heard++
			fmt.Fprintf(s.options.Out, "%s  Tuoguan → service: %s %s, signed\n", time.Now().Format(time.TimeOnly), e.Type, e.ID)
		}
		var list struct {
			Items []struct {
				AppID    string `json:"appid"`
				State    string `json:"state"`
				NickName string `json:"nick_name"`
			} `json:"items"`
		}
		if err := j.rest.call(ctx, http.MethodGet, "/v1/authorizers", nil, &list); err != nil {
			continue
		}
		for _, a := range list.Items {
			if state := a.NickName + " " + a.State; seen[a.AppID] != state {
				seen[a.AppID] = state
				fmt.Fprintf(s.options.Out, "%s  Tuoguan: %s (%s) is %s\n", time.Now().Format(time.TimeOnly), a.AppID, a.NickName, a.State)
				if a.State == "active" {
					if link, err := j.newLink(ctx); err == nil {
						fmt.Fprintf(s.options.Out, "          another link, for another account or another set of permissions: %s\n", link)
					}
				}
			}
		}
	}
}
