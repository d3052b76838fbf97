package subscription

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/push"
)

// maxReply bounds what a receiver may answer, in bytes.
const maxReply = 64 << 10

// errReply: a receiver's answer is no passive reply. Its texts quote nothing of the
// answer.
var errReply = errors.New("not a passive reply")

func notReply(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errReply, fmt.Sprintf(format, args...))
}

// ParseReply reads what a receiver has answered to a push: a [Reply] as JSON, or the XML
// of WeChat's documentation, in which ToUserName, FromUserName and CreateTime may be
// missing. It returns nil if there is nothing to say: an empty body, or success.
//
// The error says what is wrong and quotes nothing of the answer. A reply that is
// returned is one that [push.Plaintext] takes, to the user who wrote and from the
// account written to.
func ParseReply(p *push.Push, body []byte) (push.Reply, error) {
	if len(body) > maxReply {
		return nil, notReply("it is too large, at most %d bytes are taken", maxReply)
	}
	body = bytes.TrimSpace(body)
	var said Reply
	var err error
	switch {
	case len(body) == 0 || string(body) == "success":
		return nil, nil
	case body[0] == '{':
		said, err = replyOfJSON(body)
	case body[0] == '<':
		said, err = replyOfXML(p, body)
	default:
		err = notReply("neither JSON nor XML nor success")
	}
	if err != nil {
		return nil, err
	}
	reply, err := said.reply()
	if err != nil {
		return nil, err
	}
	if _, err := push.Plaintext(p, reply, time.Time{}); err != nil {
		return nil, err
	}
	return reply, nil
}

func replyOfJSON(body []byte) (Reply, error) {
	var r Reply
	var syntax *json.SyntaxError
	err := decode(body, &r)
	switch {
	case errors.As(err, &syntax):
		return Reply{}, notReply("malformed JSON at byte %d", syntax.Offset)
	case err != nil:
		return Reply{}, notReply("JSON with a member that a reply does not have, or of another type, or something after it")
	}
	return r, nil
}

// replyXML is a passive reply as WeChat documents it.
type replyXML struct {
	ToUserName   string
	FromUserName string
	MsgType      string
	Content      string
	Image        replyMedia
	Voice        replyMedia
	Video        replyMedia
	Music        replyMedia
	Articles     struct {
		Items []struct {
			Title       string
			Description string
			PicURL      string `xml:"PicUrl"`
			URL         string `xml:"Url"`
		} `xml:"item"`
	}
	TransInfo struct{ KfAccount string }
}

// replyMedia is the part of a reply that names what was uploaded, whatever its type.
type replyMedia struct {
	MediaID      string `xml:"MediaId"`
	Title        string
	Description  string
	MusicURL     string `xml:"MusicUrl"`
	HQMusicURL   string `xml:"HQMusicUrl"`
	ThumbMediaID string `xml:"ThumbMediaId"`
}

func replyOfXML(p *push.Push, body []byte) (Reply, error) {
	// The parser for pushes bounds depth and size, and takes neither document types nor
	// anything twice that says whose reply it is.
	if parsed := push.Parse(tuoguan.Authorization{}, body); parsed.Problem != nil {
		return Reply{}, notReply("malformed XML: %v", parsed.Problem)
	}
	var x replyXML
	if err := xml.Unmarshal(body, &x); err != nil {
		return Reply{}, notReply("malformed XML")
	}
	if x.ToUserName != "" && x.ToUserName != p.Field("FromUserName") {
		return Reply{}, notReply("ToUserName is not the user who wrote")
	}
	if x.FromUserName != "" && x.FromUserName != p.Field("ToUserName") {
		return Reply{}, notReply("FromUserName is not the account written to")
	}
	r := Reply{MsgType: x.MsgType, Content: x.Content, KfAccount: x.TransInfo.KfAccount}
	m := map[string]replyMedia{"image": x.Image, "voice": x.Voice, "video": x.Video, "music": x.Music}[x.MsgType]
	r.MediaID, r.Title, r.Description = m.MediaID, m.Title, m.Description
	r.MusicURL, r.HQMusicURL, r.ThumbMediaID = m.MusicURL, m.HQMusicURL, m.ThumbMediaID
	for _, a := range x.Articles.Items {
		r.Articles = append(r.Articles, Article(a))
	}
	return r, nil
}

// reply returns the passive reply meant. Whether it is complete is for [push.Plaintext]
// to say.
func (r Reply) reply() (push.Reply, error) {
	switch r.MsgType {
	case "text":
		return push.Text{Content: r.Content}, nil
	case "image":
		return push.Image{MediaID: r.MediaID}, nil
	case "voice":
		return push.Voice{MediaID: r.MediaID}, nil
	case "video":
		return push.Video{MediaID: r.MediaID, Title: r.Title, Description: r.Description}, nil
	case "music":
		return push.Music{Title: r.Title, Description: r.Description, MusicURL: r.MusicURL, HQMusicURL: r.HQMusicURL, ThumbMediaID: r.ThumbMediaID}, nil
	case "news":
		articles := make([]push.Article, len(r.Articles))
		for i, a := range r.Articles {
			articles[i] = push.Article(a)
		}
		return push.News{Articles: articles}, nil
	case "transfer_customer_service":
		return push.TransferCustomerService{KfAccount: r.KfAccount}, nil
	}
	return nil, notReply("the message type must be text, image, voice, video, music, news or transfer_customer_service")
}
