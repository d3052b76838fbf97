package simulator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/simulator"
)

// upload sends a form whose file has the bytes of a reader, and returns the reply.
func (w *world) upload(path string, query url.Values, field, filename string, file io.Reader) map[string]any {
	w.t.Helper()
	body, to := io.Pipe()
	form := multipart.NewWriter(to)
	go func() {
		err := form.WriteField("description", `{"title":"t"}`)
		if err == nil {
			var part io.Writer
			if part, err = form.CreateFormFile(field, filename); err == nil {
				_, err = io.Copy(part, file)
			}
		}
		if err == nil {
			err = form.Close()
		}
		to.CloseWithError(err)
	}()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "https://api.weixin.qq.com"+path+"?"+query.Encode(), body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	var reply map[string]any
	if text := readAll(w.t, resp); json.Unmarshal([]byte(text), &reply) != nil {
		w.t.Fatalf("%d %q", resp.StatusCode, text)
	}
	return reply
}

// download returns the body and the headers of a GET.
func (w *world) download(path string, query url.Values) (string, http.Header) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "https://api.weixin.qq.com"+path+"?"+query.Encode(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return readAll(w.t, resp), resp.Header
}

func TestMedia(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	appid := w.account(simulator.OfficialAccount).AppID
	access, refresh := w.authorized(token, appid)
	other, _ := w.authorized(token, w.account(simulator.OfficialAccount).AppID)
	q := func(access, kind string) url.Values { return url.Values{"access_token": {access}, "type": {kind}} }

	picture := strings.Repeat("\x89PNG\r\n", 1000)
	for _, path := range []string{"/cgi-bin/media/upload", "/cgi-bin/material/add_material"} {
		w.wantCode(40004, w.upload(path, q(access, "film"), "media", "a.png", strings.NewReader(picture)))
		w.wantCode(41005, w.upload(path, q(access, "image"), "picture", "a.png", strings.NewReader(picture)))
		w.wantCode(41005, w.upload(path, q(access, "image"), "media", "a.png", strings.NewReader("")))
		w.wantCode(41005, w.upload(path, q(access, "image"), "media", "", strings.NewReader(picture)))
		w.wantCode(41005, w.call(path, q(access, "image"), `{}`))
		w.wantCode(40006, w.upload(path, q(access, "thumb"), "media", "a.png", strings.NewReader(strings.Repeat("x", 64<<10+1))))
		w.wantCode(40009, w.upload(path, q(access, "image"), "media", "a.png", io.LimitReader(zeros{}, 10<<20+1)))
	}
	id := field(w.upload("/cgi-bin/media/upload", q(access, "image"), "media", `店"1.png`, strings.NewReader(picture)), "media_id")
	get := url.Values{"access_token": {access}, "media_id": {id}}
	body, header := w.download("/cgi-bin/media/get", get)
	if body != picture || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment; filename") || header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("got %d bytes, %v", len(body), header)
	}
	w.wantCode(40007, w.call("/cgi-bin/media/get", url.Values{"access_token": {other}, "media_id": {id}}, nil))
	video := field(w.upload("/cgi-bin/media/upload", q(access, "video"), "media", "a.mp4", io.LimitReader(zeros{}, 10<<20)), "media_id")
	if reply := w.call("/cgi-bin/media/get", url.Values{"access_token": {access}, "media_id": {video}}, nil); field(reply, "video_url") == "" {
		t.Errorf("video: %v", reply)
	}
	kept := w.upload("/cgi-bin/material/add_material", q(access, "image"), "media", "a.png", strings.NewReader(picture))
	if field(kept, "url") == "" {
		t.Errorf("material: %v", kept)
	}

	w.advance(3*24*time.Hour + time.Second)
	token = w.token()
	access = field(w.refresh(token, appid, refresh), "authorizer_access_token")
	get.Set("access_token", access)
	w.wantCode(40007, w.call("/cgi-bin/media/get", get, nil))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.weixin.qq.com/cgi-bin/material/get_material?access_token="+access,
		strings.NewReader(`{"media_id":"`+field(kept, "media_id")+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != picture {
		t.Errorf("material of %d bytes, want %d", len(got), len(picture))
	}
}

func (w *world) advance(d time.Duration) {
	w.t.Helper()
	if err := w.Advance(d); err != nil {
		w.t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestLargeUpload sends more than any file may have. It is read to its end, so that
// what stands in between is put to the test, and not kept: with all of it in memory, a
// buffer that grows would allocate twice its size.
func TestLargeUpload(t *testing.T) { // not parallel: it measures memory
	w, _ := newWorld(t, nil)
	access, _ := w.authorized(w.token(), w.account(simulator.OfficialAccount).AppID)
	random := rand.NewChaCha8([32]byte{1})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const size = 100 << 20
	read := &counter{Reader: io.LimitReader(random, size)}
	w.wantCode(40009, w.upload("/cgi-bin/media/upload", url.Values{"access_token": {access}, "type": {"image"}}, "media", "a.png", read))
	runtime.ReadMemStats(&after)
	if read.n != size {
		t.Errorf("%d bytes were read, want %d", read.n, size)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > size {
		t.Errorf("%d bytes were allocated", allocated)
	}
}

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// TestMediaForgotten fills the memory that media may take.
func TestMediaForgotten(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	access, _ := w.authorized(w.token(), w.account(simulator.OfficialAccount).AppID)
	var ids []string
	for range 8 {
		reply := w.upload("/cgi-bin/media/upload", url.Values{"access_token": {access}, "type": {"image"}}, "media", "a.png", io.LimitReader(zeros{}, 10<<20))
		ids = append(ids, field(reply, "media_id"))
	}
	get := func(id string) url.Values { return url.Values{"access_token": {access}, "media_id": {id}} }
	w.wantCode(40007, w.call("/cgi-bin/media/get", get(ids[0]), nil))
	if body, _ := w.download("/cgi-bin/media/get", get(ids[7])); !bytes.Equal([]byte(body), make([]byte, 10<<20)) {
		t.Errorf("the last one has %d bytes", len(body))
	}
}

func TestPageTickets(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	appid := w.account(simulator.OfficialAccount).AppID
	access, refresh := w.authorized(token, appid)
	ticket := func(kind string) (string, int) {
		t.Helper()
		reply := w.call("/cgi-bin/ticket/getticket", url.Values{"access_token": {access}, "type": {kind}}, nil)
		w.wantCode(0, reply)
		seconds, _ := reply["expires_in"].(float64)
		return field(reply, "ticket"), int(seconds)
	}
	first, left := ticket("jsapi")
	if left != 7200 {
		t.Errorf("the first lives %d s", left)
	}
	if card, _ := ticket("wx_card"); card == first {
		t.Error("the two kinds are the same ticket")
	}
	w.wantCode(40097, w.call("/cgi-bin/ticket/getticket", url.Values{"access_token": {access}, "type": {"sdk"}}, nil))
	w.advance(time.Hour)
	if again, left := ticket("jsapi"); again != first || left != 3600 {
		t.Errorf("an hour later: the same %t, %d s left", again == first, left)
	}
	w.advance(59 * time.Minute)
	access = field(w.refresh(token, appid, refresh), "authorizer_access_token")
	w.advance(time.Minute)
	if later, left := ticket("jsapi"); later == first || left != 7200 {
		t.Errorf("two hours later: the same %t, %d s left", later == first, left)
	}
}

// TestDroppedReplyHadItsEffect loses the reply to a message that was sent: whoever
// repeats it writes to the user twice, and Sent shows that.
func TestDroppedReplyHadItsEffect(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	appid := w.account(simulator.OfficialAccount).AppID
	access, _ := w.authorized(w.token(), appid)
	if _, err := w.SendMessage(t.Context(), appid, simulator.Message{From: "oUser1", Type: "text", Fields: map[string]any{"content": "hello"}}); err != nil {
		t.Fatal(err)
	}
	f := w.Faults()
	f.DropReplyAfterProcessing = 1
	if err := w.SetFaults(f); err != nil {
		t.Fatal(err)
	}
	query := url.Values{"access_token": {access}}
	message := map[string]any{"touser": "oUser1", "msgtype": "text", "text": map[string]string{"content": "hi"}}
	for n := 1; n <= 2; n++ {
		if reply, err := w.tryCall("/cgi-bin/message/custom/send", query, message); err == nil {
			t.Fatalf("a reply came: %v", reply)
		}
		if sent, err := w.Sent(appid); err != nil || len(sent) != n {
			t.Errorf("%d messages were sent, want %d (%v)", len(sent), n, err)
		}
	}
}
