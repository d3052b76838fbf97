package doctor

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/internal/storage"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

const (
	// clockWarning and clockFailure are how far our clock may be off: pushes with a
	// timestamp further than ten minutes from it are refused.
	clockWarning = 30 * time.Second
	clockFailure = 5 * time.Minute

	// databaseClockWarning is how far our clock may be off from the database's.
	databaseClockWarning = 2 * time.Second

	ticketWarning = 30 * time.Minute // WeChat pushes one every ten minutes
	ticketFailure = 12 * time.Hour   // and it is good for twelve hours
)

// masterKey looks at the file, without reading it.
func (d *examination) masterKey() {
	const name = "master key"
	path := d.cfg.MasterKeyFile
	if path == "" {
		d.add(name, OK, "comes from the environment", "来自环境变量")
		return
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.cfg.Engine() == config.SQLite && storage.Exists(d.cfg):
		d.add(name, Failed, path+" is missing, and the data cannot be read without it", path+" 不存在，数据无法读取").
			advise("put the file back from its backup", "从备份恢复该文件")
	case errors.Is(err, fs.ErrNotExist):
		d.add(name, OK, path+" is not there yet; it is made on the first start", path+" 尚不存在，首次启动时创建")
	case err != nil:
		d.add(name, Failed, err.Error(), err.Error()).advise("let the user of the server read it", "使运行服务的用户可以读取")
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		d.add(name, Failed, fmt.Sprintf("%s may be read by others (mode %#o)", path, info.Mode().Perm()), fmt.Sprintf("%s 可被其他用户读取（权限 %#o）", path, info.Mode().Perm())).
			advise("chmod 400 "+path, "chmod 400 "+path)
	default:
		if data := d.cfg.SQLitePath(); data != "" && sameVolume(path, data) {
			d.add(name, Warning, path+" lies on one volume with the data: whoever copies or takes the disk has both", path+" 与数据在同一卷上，取得该磁盘即可解密").
				advise("keep it elsewhere (another volume, or TUOGUAN_MASTER_KEY), and back it up apart from the data", "存放到其他卷或使用 TUOGUAN_MASTER_KEY，并与数据分开备份")
			return
		}
		d.add(name, OK, path, path)
	}
}

// server finds out whether the server runs.
func (d *examination) server(ctx context.Context) {
	var alive struct{ Status string }
	d.running = d.read(ctx, "/healthz", &alive) == nil && alive.Status == "alive"
	if d.running {
		d.add("server", OK, "runs at "+d.address, "运行于 "+d.address)
		return
	}
	d.add("server", Skipped, "does not run at "+d.address, "未在 "+d.address+" 运行")
}

// askWithin is how long the running server has for an answer.
const askWithin = 5 * time.Second

// read reads what the server tells everybody.
func (d *examination) read(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.address+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", path, response.Status)
	}
	return json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(answer)
}

// verified tells whether the storage proves who it is.
func (d *examination) verified() {
	if where := d.cfg.StorageName(); !d.cfg.StorageVerified() {
		d.add("storage", Warning, where+" does not have to prove who it is: somebody on the way to it could read and change everything", where+" 未验证服务器证书：链路上的人可以读取并篡改数据").
			advise("use TLS with a verified certificate: sslmode=verify-full (PostgreSQL), tls=true (MySQL)", "使用并验证 TLS 证书：sslmode=verify-full（PostgreSQL）、tls=true（MySQL）")
	}
}

// storage asks the running server, and looks at the database itself where it can.
func (d *examination) storage(ctx context.Context) {
	const name = "storage"
	where := d.cfg.StorageName()
	d.verified()
	if d.running {
		d.storageOfServer(ctx)
		if d.cfg.Engine() == config.SQLite {
			return
		}
	}
	if !storage.Exists(d.cfg) {
		dir := filepath.Dir(d.cfg.SQLitePath())
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			d.add(name, Warning, dir+" is not there yet; it is made on the first start", dir+" 尚不存在，首次启动时创建")
			return
		}
		d.add(name, OK, where+" is not there yet; it is made on the first start", where+" 尚不存在，首次启动时创建")
		return
	}
	opened, err := storage.Inspect(ctx, d.cfg, storage.Options{})
	switch {
	case errors.Is(err, storage.ErrKeyMissing):
		if d.cfg.Engine() != config.SQLite { // else masterKey has said so
			d.add(name, Failed, err.Error(), err.Error()).advise("put the file back from its backup", "从备份恢复该文件")
		}
		return
	case errors.Is(err, storage.ErrPending):
		d.add(name, OK, where+": "+err.Error()+"; they are made at the next start, or by tuoguan migrate", where+"：有待执行的结构升级，将在下次启动或执行 tuoguan migrate 时完成")
		return
	case errors.Is(err, storage.ErrLocked):
		d.add(name, Warning, where+": another process has it open, and none answers at "+d.cfg.Admin.Listen, where+"：被其他进程占用，且 "+d.cfg.Admin.Listen+" 无应答").
			advise("see whether a server hangs, or runs with another configuration", "检查是否有服务无响应或使用了其他配置")
		return
	case err != nil:
		d.unstorable(err)
		return
	}
	d.store, d.close = opened.Store, opened.Close
	if d.running {
		d.databaseClock(ctx)
		d.gate(ctx)
		return
	}
	d.write(ctx, opened.Shared)
}

// write makes a durable write to the storage that is open, which several processes may
// share.
func (d *examination) write(ctx context.Context, shared bool) {
	where, began := d.cfg.StorageName(), time.Now()
	if err := d.store.Probe(ctx); err != nil {
		d.unstorable(err)
		return
	}
	took := time.Since(began).Round(100 * time.Microsecond).String()
	d.add("storage", OK, where+": a durable write took "+took, where+"：一次持久写入用时 "+took)
	if shared {
		d.databaseClock(ctx)
	}
	d.gate(ctx)
}

// unstorable reports a storage that does not do what it is there for.
func (d *examination) unstorable(err error) {
	check := d.add("storage", Failed, err.Error(), err.Error())
	if d.cfg.Engine() == config.SQLite {
		check.advise("look for a full, failing or read-only disk, and at the owner of the file", "检查磁盘是否已满、损坏或只读，以及文件属主")
		return
	}
	check.advise("do what the message says; look at address, user, password and rights of the database, and at its log", "按提示处理；检查数据库地址、用户、密码、权限及其日志")
}

// storageOfServer asks the server whether it can store, and what else it lacks.
func (d *examination) storageOfServer(ctx context.Context) {
	const name = "storage"
	var health obs.Health
	err := d.read(ctx, "/readyz", &health)
	if err != nil || health.Status != "ready" {
		d.unstorable(errors.New("the server cannot store pushes at present"))
		return
	}
	d.add(name, OK, "the server stores what it is told", "服务可正常写入")
	d.missing(health.Missing, d.cfg.Engine() != config.SQLite)
}

// missing tells what a server lacks, but for what is looked at by itself.
func (d *examination) missing(problems []obs.Problem, gate bool) {
	for _, p := range problems {
		if strings.HasPrefix(p.Code, "ticket_") || p.Code == "component_missing" || p.Code == "gate_closed" && gate {
			continue
		}
		detail := strings.TrimSpace(p.Component + " " + p.Message)
		d.add(p.Code, Warning, detail, detail).advise(p.Action, p.ActionChinese)
	}
}

// databaseClock compares our clock with that of a database that several processes share.
func (d *examination) databaseClock(ctx context.Context) {
	const name = "database clock"
	began := time.Now()
	theirs, err := d.store.Changes(ctx, time.Time{})
	if err != nil {
		d.unstorable(err)
		return
	}
	took := time.Since(began)
	off := theirs.Now.Sub(began.Add(took / 2)).Round(10 * time.Millisecond)
	switch {
	case off.Abs() > databaseClockWarning+took:
		d.add(name, Warning, fmt.Sprintf("is %v away from this machine's; the database's counts", off.Abs()), fmt.Sprintf("与本机相差 %v，以数据库为准", off.Abs())).
			advise("synchronize both clocks (NTP)", "同步两端系统时间（NTP）")
	default:
		d.add(name, OK, "agrees with this machine's", "与本机一致")
	}
}

// gate tells whether the gate is closed, and what it waits for.
func (d *examination) gate(ctx context.Context) {
	const name = "gate"
	gate, err := storage.Gate(ctx, d.store)
	if err != nil {
		d.unstorable(err)
		return
	}
	components, err := d.store.Components(ctx)
	if err != nil || gate.ClosedAt.IsZero() {
		return // a component that cannot be read is reported as such
	}
	for _, c := range components {
		if !gate.Opened[c.AppID].IsZero() || c.CreatedAt.After(gate.ClosedAt) {
			continue
		}
		since, id := gate.ClosedAt.UTC().Format(time.RFC3339), string(c.AppID)
		d.add(name, Warning, fmt.Sprintf("%s: closed since %s, for the data was %s; no token is refreshed", id, since, gate.Reason), fmt.Sprintf("%s：自 %s 起关闭（数据为恢复或复制所得），不刷新令牌", id, since)).
			advise("stop the installation that the data came from; keep this server running and reachable: the gate opens once WeChat has pushed a ticket here and its list was compared", "停止数据来源的旧实例，保持本服务运行并可被微信访问：收到 ticket 并完成授权列表核对后自动打开")
	}
}

// spill looks at the place of the file that keeps tokens while the storage cannot.
func (d *examination) spill() {
	const name = "spill file"
	path := d.cfg.SpillPath()
	dir := filepath.Dir(path)
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		d.add(name, Failed, path+" is not a regular file", path+" 不是普通文件").advise("name another spill_file", "更换 spill_file")
	case err == nil:
		d.add(name, OK, path, path)
	case !errors.Is(err, fs.ErrNotExist):
		d.add(name, Failed, err.Error(), err.Error()).advise("let the user of the server write to "+dir, "使运行服务的用户可写入 "+dir)
	case d.running:
		d.add(name, Warning, path+" is not there, though the server runs", path+" 不存在，但服务正在运行").
			advise("see whether the server runs with this configuration", "检查服务是否使用此配置")
	default:
		d.add(name, OK, path+" is not there yet; it is made at the start", path+" 尚不存在，启动时创建")
	}
}

// components returns the components to look at: those configured, and those stored.
func (d *examination) components(ctx context.Context) ([]store.Component, error) {
	var components []store.Component
	if !d.inside { // else they may have changed since
		for _, c := range d.cfg.Bootstrap.Components {
			components = append(components, store.Component{AppID: c.AppID, Secret: c.Secret})
		}
	}
	if d.store != nil {
		stored, err := d.store.Components(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range stored {
			if !slices.ContainsFunc(components, func(other store.Component) bool { return other.AppID == c.AppID }) {
				components = append(components, c)
			}
		}
	}
	if d.running && d.ask != nil {
		ctx, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		var err error
		if d.known, err = d.ask(ctx); err != nil {
			d.add("api key", Failed, err.Error(), err.Error()).
				advise("restart the server after a change of bootstrap.api_key", "修改 bootstrap.api_key 后需重启服务")
		}
	}
	if len(components) == 0 && len(d.known) == 0 {
		d.add("components", Warning, "there is none yet", "尚未登记第三方平台").
			advise("add one under bootstrap.components, or with POST /v1/components", "在 bootstrap.components 中添加，或调用 POST /v1/components")
	}
	return components, nil
}

// late reports that a check had no time to end.
func (d *examination) late(ctx context.Context, name, of string) bool {
	if ctx.Err() == nil {
		return false
	}
	d.add(name, Skipped, strings.TrimPrefix(of+": ", ": ")+"no answer within the time there was", strings.TrimPrefix(of+"：", "：")+"未在限定时间内得到应答")
	return true
}

// clock compares our clock with WeChat's.
func (d *examination) clock(ctx context.Context) {
	const name = "clock"
	var last error
	for _, base := range d.cfg.WeChat.APIBaseURLs {
		began := time.Now()
		date, err := serverDate(ctx, base)
		if err != nil {
			last = err
			continue
		}
		// The header is cut to the second, and was written some time during the call.
		off := date.Add(500 * time.Millisecond).Sub(began.Add(time.Since(began) / 2)).Round(time.Second)
		switch {
		case off.Abs() > clockFailure:
			d.add(name, Failed, fmt.Sprintf("is %v away from WeChat's: its pushes look too old or too new and are refused", off.Abs()), fmt.Sprintf("与微信相差 %v，推送会因时间戳被拒绝", off.Abs())).
				advise("synchronize the clock (NTP)", "同步系统时间（NTP）")
		case off.Abs() > clockWarning:
			d.add(name, Warning, fmt.Sprintf("is %v away from WeChat's", off.Abs()), fmt.Sprintf("与微信相差 %v", off.Abs())).
				advise("synchronize the clock (NTP)", "同步系统时间（NTP）")
		default:
			d.add(name, OK, "agrees with WeChat's", "与微信一致")
		}
		return
	}
	if d.late(ctx, name, "") {
		return
	}
	d.add(name, Failed, "WeChat's API cannot be reached: "+last.Error(), "无法访问微信接口："+last.Error()).
		advise("let the server reach "+strings.Join(d.cfg.WeChat.APIBaseURLs, ", ")+" (DNS, firewall, proxy)", "放通对 "+strings.Join(d.cfg.WeChat.APIBaseURLs, "、")+" 的访问（DNS、防火墙、代理）")
}

func serverDate(ctx context.Context, base string) (time.Time, error) {
	response, err := fetch(ctx, http.MethodGet, base+"/")
	if err != nil {
		return time.Time{}, err
	}
	return http.ParseTime(response.header.Get("Date"))
}

// credentials asks WeChat for a component token with a ticket that cannot be right.
// How it refuses tells what it thinks of everything else, and no token is made.
func (d *examination) credentials(ctx context.Context, component store.Component) {
	name := "whitelist, secret"
	api, err := wxapi.New(wxapi.Config{
		BaseURLs: d.cfg.WeChat.APIBaseURLs, MPBaseURL: d.cfg.WeChat.MPBaseURL, OpenBaseURL: d.cfg.WeChat.OpenBaseURL,
		Timeout: 8 * time.Second,
	})
	if err != nil {
		d.add(name, Failed, err.Error(), err.Error())
		return
	}
	defer api.CloseIdleConnections()
	_, err = api.CreateComponentToken(ctx, component.AppID, component.Secret, tuoguan.NewSecret("ticket@@@doctor"))
	id := string(component.AppID)
	var refusal *wxapi.APIError
	switch {
	case errors.Is(err, wxapi.ErrTicketInvalid):
		d.add(name, OK, id+": WeChat takes calls from this address", id+"：微信接受来自本机的调用")
	case errors.As(err, &refusal):
		explanation := refusal.Explain()
		check := d.add(name, Failed, fmt.Sprintf("%s: errcode %d, %s", id, refusal.Code, explanation.Meaning), fmt.Sprintf("%s：错误码 %d，%s", id, refusal.Code, explanation.MeaningChinese))
		check.advise(explanation.Action, explanation.ActionChinese)
		if ip := refusal.ClientIP(); ip.IsValid() {
			check.advise("add "+ip.String()+", the address that WeChat sees, to the IP whitelist in the component's console", "将微信看到的出口 IP "+ip.String()+" 加入第三方平台控制台的 IP 白名单")
		}
	case err != nil && d.late(ctx, name, id):
	case err != nil:
		d.add(name, Warning, id+": "+err.Error(), id+"："+err.Error()).advise("try again", "请重试")
	default:
		d.add(name, Warning, id+": WeChat takes any ticket; is this the real one?", id+"：微信接受了无效的 ticket，请确认接口地址")
	}
}

// ticket tells how old the newest verify ticket is.
func (d *examination) ticket(ctx context.Context, id tuoguan.ComponentAppID) {
	const name = "ticket"
	received := time.Time{}
	switch {
	case d.running && !d.inside:
		i := slices.IndexFunc(d.known, func(c Component) bool { return c.AppID == id })
		if i < 0 {
			d.add(name, Skipped, string(id)+": the running server does not say", string(id)+"：运行中的服务未提供")
			return
		}
		received = d.known[i].TicketReceivedAt
	case d.store != nil:
		tickets, err := d.store.Tickets(ctx, id)
		if err != nil {
			d.add(name, Failed, err.Error(), err.Error())
			return
		}
		if len(tickets) > 0 {
			received = tickets[0].ReceivedAt
		}
	default:
		d.add(name, Skipped, string(id)+": nothing is stored yet", string(id)+"：尚无数据")
		return
	}
	eventURL := d.cfg.Public.BaseURL + "/wx/" + string(id) + "/event"
	const action, actionZh = "set the authorization event URL in the component's console to %s, keep the server running, and wait ten minutes", "在控制台将授权事件接收 URL 设为 %s，保持服务运行并等待十分钟"
	age := time.Since(received).Round(time.Second)
	switch {
	case received.IsZero():
		d.add(name, Failed, string(id)+": none has arrived yet", string(id)+"：尚未收到").advise(fmt.Sprintf(action, eventURL), fmt.Sprintf(actionZh, eventURL))
	case age > ticketFailure:
		d.add(name, Failed, fmt.Sprintf("%s: the newest is %v old and has expired", id, age), fmt.Sprintf("%s：最近一次在 %v 前，已过期", id, age)).advise(fmt.Sprintf(action, eventURL), fmt.Sprintf(actionZh, eventURL))
	case age > ticketWarning:
		d.add(name, Warning, fmt.Sprintf("%s: the newest is %v old, one is due every ten minutes", id, age), fmt.Sprintf("%s：最近一次在 %v 前，正常为每十分钟一次", id, age)).advise(fmt.Sprintf(action, eventURL), fmt.Sprintf(actionZh, eventURL))
	default:
		d.add(name, OK, fmt.Sprintf("%s: received %v ago", id, age), fmt.Sprintf("%s：%v 前收到", id, age))
	}
}

// public goes to the public address as WeChat and a browser would, though from here.
func (d *examination) public(ctx context.Context, components []store.Component) {
	const name = "public address"
	base := d.cfg.Public.BaseURL
	if u, err := url.Parse(base); err == nil && u.Port() != "" && u.Port() != "80" && u.Port() != "443" {
		d.add(name, Warning, base+" names a port; WeChat pushes to 80 and 443 only", base+" 含端口；微信只向 80 与 443 端口推送").
			advise("use a reverse proxy on 443", "使用 443 端口的反向代理")
	}
	if !d.running {
		d.add(name, Skipped, "start the server to have "+base+" tried", "启动服务后再检查 "+base)
		return
	}
	fail := func(detail, detailZh string) {
		if d.late(ctx, name, base) {
			return
		}
		d.add(name, Failed, detail, detailZh).
			advise("let "+base+" lead to the public listener ("+d.cfg.Public.Listen+") unchanged: DNS, certificate, firewall, reverse proxy", "使 "+base+" 原样转发到公网监听 "+d.cfg.Public.Listen+"：检查 DNS、证书、防火墙与反向代理")
	}
	var random [8]byte
	_, _ = rand.Read(random[:])
	entry, err := fetch(ctx, http.MethodGet, base+"/authorize/doctor-"+hex.EncodeToString(random[:]))
	switch {
	case err != nil:
		fail(base+": "+err.Error(), base+"："+err.Error())
		return
	case entry.status != http.StatusNotFound || !strings.Contains(entry.body, `name="generator" content="tuoguan"`):
		fail(fmt.Sprintf("%s answers %d, and it is not this server that answers", base, entry.status), fmt.Sprintf("%s 返回 %d，应答者并非本服务", base, entry.status))
		return
	}
	for _, component := range components {
		event := base + "/wx/" + string(component.AppID) + "/event"
		answer, err := fetch(ctx, http.MethodPost, event)
		if err != nil || answer.status != http.StatusForbidden {
			fail(event+" does not reach the intake of pushes", event+" 未到达推送接收入口")
			return
		}
	}
	d.add(name, OK, base+" leads here", base+" 可达")
	if !entry.certificateEnds.IsZero() {
		left := time.Until(entry.certificateEnds)
		days := int(left / (24 * time.Hour))
		if days < 14 {
			d.add("certificate", Warning, fmt.Sprintf("ends in %d days", days), fmt.Sprintf("%d 天后过期", days)).advise("renew it", "更新证书")
		} else {
			d.add("certificate", OK, fmt.Sprintf("good for %d days", days), fmt.Sprintf("有效期剩余 %d 天", days))
		}
	}
}

// answer is what a plain request got.
type answer struct {
	status          int
	header          http.Header
	body            string
	certificateEnds time.Time
}

// fetch makes one plain request, following no redirects.
func fetch(ctx context.Context, method, address string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("User-Agent", "tuoguan-doctor")
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(body)}
	if response.TLS != nil && len(response.TLS.PeerCertificates) > 0 {
		a.certificateEnds = response.TLS.PeerCertificates[0].NotAfter
	}
	return a, nil
}
