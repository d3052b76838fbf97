package subscription

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/push"
)

func TestParseReply(t *testing.T) {
	t.Parallel()
	_, p := arrived(aText)
	_, subscribe := arrived("<MsgType>event</MsgType><Event>subscribe</Event>")
	_, nobody := arrived("")
	nobody.Body = nil
	nobody = push.Parse(nobody.Authorization, []byte("<xml><MsgType>text</MsgType></xml>"))
	article := push.Article{Title: "t", Description: "d", PicURL: "https://p", URL: "https://u"}
	for name, test := range map[string]struct {
		to   *push.Push // p if nil
		body string
		want push.Reply
		err  string // a part of it
	}{
		"nothing":           {body: ""},
		"blank":             {body: " \r\n"},
		"success":           {body: "success"},
		"success in a line": {body: "success\n"},

		"text":     {body: `{"msg_type":"text","content":"你好\n"}`, want: push.Text{Content: "你好\n"}},
		"image":    {body: `{"msg_type":"image","media_id":"m"}`, want: push.Image{MediaID: "m"}},
		"voice":    {body: `{"msg_type":"voice","media_id":"m"}`, want: push.Voice{MediaID: "m"}},
		"video":    {body: `{"msg_type":"video","media_id":"m","title":"t","description":"d"}`, want: push.Video{MediaID: "m", Title: "t", Description: "d"}},
		"music":    {body: `{"msg_type":"music","title":"t","description":"d","music_url":"u","hq_music_url":"h","thumb_media_id":"m"}`, want: push.Music{Title: "t", Description: "d", MusicURL: "u", HQMusicURL: "h", ThumbMediaID: "m"}},
		"news":     {body: `{"msg_type":"news","articles":[{"title":"t","description":"d","pic_url":"https://p","url":"https://u"}]}`, want: push.News{Articles: []push.Article{article}}},
		"handover": {body: `{"msg_type":"transfer_customer_service","kf_account":"a@b"}`, want: push.TransferCustomerService{KfAccount: "a@b"}},

		"XML text":        {body: "<xml><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[a<b]]> &amp; c\n</Content></xml>", want: push.Text{Content: "a<b & c\n"}},
		"XML in full":     {body: `<?xml version="1.0" encoding="UTF-8"?><xml><ToUserName>o1</ToUserName><FromUserName>gh_1</FromUserName><CreateTime>12345</CreateTime><MsgType>text</MsgType><Content>c</Content><FuncFlag>0</FuncFlag></xml>`, want: push.Text{Content: "c"}},
		"XML empty names": {body: "<xml><ToUserName></ToUserName><FromUserName/><MsgType>text</MsgType><Content>c</Content></xml>", want: push.Text{Content: "c"}},
		"XML image":       {body: "<xml><MsgType>image</MsgType><Image><MediaId>m</MediaId></Image></xml>", want: push.Image{MediaID: "m"}},
		"XML voice":       {body: "<xml><MsgType>voice</MsgType><Voice><MediaId>m</MediaId></Voice></xml>", want: push.Voice{MediaID: "m"}},
		"XML video":       {body: "<xml><MsgType>video</MsgType><Video><MediaId>m</MediaId><Title>t</Title><Description>d</Description></Video></xml>", want: push.Video{MediaID: "m", Title: "t", Description: "d"}},
		"XML music":       {body: "<xml><MsgType>music</MsgType><Music><Title>t</Title><Description>d</Description><MusicUrl>u</MusicUrl><HQMusicUrl>h</HQMusicUrl><ThumbMediaId>m</ThumbMediaId></Music></xml>", want: push.Music{Title: "t", Description: "d", MusicURL: "u", HQMusicURL: "h", ThumbMediaID: "m"}},
		"XML news":        {body: "<xml><MsgType>news</MsgType><ArticleCount>1</ArticleCount><Articles><item><Title>t</Title><Description>d</Description><PicUrl>https://p</PicUrl><Url>https://u</Url></item></Articles></xml>", want: push.News{Articles: []push.Article{article}}},
		"XML handover":    {body: "<xml><MsgType>transfer_customer_service</MsgType><TransInfo><KfAccount>a@b</KfAccount></TransInfo></xml>", want: push.TransferCustomerService{KfAccount: "a@b"}},
		"two articles":    {to: subscribe, body: `{"msg_type":"news","articles":[{"title":"t"},{"title":"t"}]}`, want: push.News{Articles: []push.Article{{Title: "t"}, {Title: "t"}}}},

		"prose":                     {body: "OK", err: "neither JSON nor XML"},
		"HTML":                      {body: "<!DOCTYPE html><html></html>", err: "malformed XML"},
		"other root":                {body: "<reply><MsgType>text</MsgType></reply>", err: "malformed XML"},
		"doctype":                   {body: `<!DOCTYPE xml [<!ENTITY a "b">]><xml><MsgType>text</MsgType><Content>&a;</Content></xml>`, err: "malformed XML"},
		"user twice":                {body: "<xml><ToUserName>o1</ToUserName><ToUserName>o2</ToUserName><MsgType>text</MsgType><Content>c</Content></xml>", err: "malformed XML"},
		"too deep":                  {body: "<xml><MsgType>text</MsgType><a><b><c><d><e/></d></c></b></a></xml>", err: "malformed XML"},
		"cut off":                   {body: "<xml><MsgType>text</MsgType><Content>c", err: "malformed XML"},
		"not UTF-8":                 {body: "<xml><MsgType>text</MsgType><Content>\xff</Content></xml>", err: "malformed XML"},
		"other user":                {body: "<xml><ToUserName>o2</ToUserName><MsgType>text</MsgType><Content>c</Content></xml>", err: "not the user"},
		"other account":             {body: "<xml><FromUserName>gh_2</FromUserName><MsgType>text</MsgType><Content>c</Content></xml>", err: "not the account"},
		"user and account mixed up": {body: "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType><Content>c</Content></xml>", err: "not the user"},
		"encrypted envelope":        {body: "<xml><Encrypt>AAAA</Encrypt></xml>", err: "message type"},
		"no type":                   {body: `{"content":"c"}`, err: "message type"},
		"type of no reply":          {body: `{"msg_type":"miniprogrampage"}`, err: "message type"},
		"no reply at all":           {body: `{"status":"ok"}`, err: "a reply does not have"},
		"user in JSON":              {body: `{"msg_type":"text","content":"c","to_user":"o2"}`, err: "a reply does not have"},
		"wrong type":                {body: `{"msg_type":"text","content":7}`, err: "another type"},
		"malformed JSON":            {body: `{"msg_type":"text",}`, err: "malformed JSON at byte"},
		"JSON cut off":              {body: `{"msg_type":"text"`, err: "JSON"},
		"two replies":               {body: `{"msg_type":"text","content":"c"}{"msg_type":"text","content":"d"}`, err: "something after it"},
		"list":                      {body: `[{"msg_type":"text","content":"c"}]`, err: "neither JSON nor XML"},
		"empty text":                {body: `{"msg_type":"text"}`, err: "Content is missing"},
		"long text":                 {body: `{"msg_type":"text","content":"` + strings.Repeat("长", 683) + `"}`, err: "at most 2048"},
		"text with a NUL":           {body: `{"msg_type":"text","content":"a\u0000"}`, err: "character"},
		"image of nothing":          {body: "<xml><MsgType>image</MsgType><Voice><MediaId>m</MediaId></Voice></xml>", err: "MediaID is missing"},
		"music without a thumb":     {body: `{"msg_type":"music","music_url":"u"}`, err: "ThumbMediaID is missing"},
		"two articles to a message": {body: `{"msg_type":"news","articles":[{"title":"t"},{"title":"t"}]}`, err: "2 articles"},
		"no articles":               {body: `{"msg_type":"news"}`, err: "0 articles"},
		"too large":                 {body: strings.Repeat(" ", maxReply+1), err: "too large"},
		"nobody to answer":          {to: nobody, body: `{"msg_type":"text","content":"c"}`, err: "no user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := test.to
			if to == nil {
				to = p
			}
			got, err := ParseReply(to, []byte(test.body))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want one with %q", err, test.err)
			}
		})
	}
}

// TestParseReplyQuotesNothing checks that errors, which are logged, show nothing of
// what a receiver has said.
func TestParseReplyQuotesNothing(t *testing.T) {
	t.Parallel()
	_, p := arrived(aText)
	for _, body := range []string{
		"hidden", `{"hidden":1}`, `{"msg_type":"hidden"}`, `{"msg_type":"text","content":hidden}`, "<hidden/>", "<xml><hidden></xml>",
		"<xml><a>&hidden;</a></xml>", "<xml><ToUserName>hidden</ToUserName></xml>", "<xml><MsgType>hidden</MsgType></xml>",
	} {
		if _, err := ParseReply(p, []byte(body)); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("ParseReply(%s): %v", body, err)
		}
	}
}

// FuzzParseReply checks that whatever a receiver answers becomes a reply that WeChat
// takes, from the account to the user who wrote, or an error.
func FuzzParseReply(f *testing.F) {
	for _, body := range []string{
		"success", `{"msg_type":"text","content":"]]><ToUserName>o2</ToUserName>"}`,
		`{"msg_type":"news","articles":[{"title":"t","description":"d","pic_url":"p","url":"u"}]}`,
		"<xml><ToUserName>o1</ToUserName><FromUserName>gh_1</FromUserName><CreateTime>1</CreateTime><MsgType><![CDATA[text]]></MsgType><Content>c</Content></xml>",
		"<xml><ToUserName>o2</ToUserName><MsgType>text</MsgType><Content>c</Content></xml>",
		"<xml><MsgType>news</MsgType><Articles><item><Title>t</Title></item></Articles></xml>",
		"<xml><MsgType>video</MsgType><Video><MediaId>m</MediaId><Title>a]]&gt;b</Title></Video></xml>",
		"<xml><MsgType>transfer_customer_service</MsgType><TransInfo><KfAccount>k</KfAccount></TransInfo></xml>",
	} {
		f.Add([]byte(body))
	}
	_, p := arrived(aText)
	f.Fuzz(func(t *testing.T, body []byte) {
		reply, err := ParseReply(p, body)
		if err != nil {
			if reply != nil {
				t.Fatal("an error and a reply")
			}
			return
		}
		if reply == nil {
			return
		}
		plaintext, err := push.Plaintext(p, reply, time.Unix(1, 0))
		if err != nil {
			t.Fatalf("a reply that is refused later: %v", err)
		}
		sent := push.Parse(tuoguan.Authorization{}, plaintext)
		if sent.Problem != nil || sent.Field("ToUserName") != "o1" || sent.Field("FromUserName") != "gh_1" {
			t.Fatalf("a reply to nobody or another: %s (%v)", plaintext, sent.Problem)
		}
	})
}
