package push

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Reply is a passive reply to a push on the message and event URL: [Text],
// [Image], [Voice], [Video], [Music], [News], [TransferCustomerService] or [Raw].
//
// Source: official account docs, "passive replies", read 2026-11.
type Reply interface {
	// check reports why the reply may not be given to p.
	check(p *Push) error
	// appendXML appends what follows CreateTime.
	appendXML(dst []byte) []byte
}

// ErrReply: a reply lacks something, holds too much, or does not suit the push.
var ErrReply = errors.New("push: reply not possible")

const (
	maxReply       = 64 << 10
	maxTextReply   = 2048 // bytes, as in messages sent through the API
	maxNewsReplies = 8
)

// Text answers with text, of at most 2048 bytes. Line breaks are shown.
type Text struct{ Content string }

// Image answers with an uploaded image.
type Image struct{ MediaID string }

// Voice answers with an uploaded recording.
type Voice struct{ MediaID string }

// Video answers with an uploaded video. Title and Description may be "".
type Video struct{ MediaID, Title, Description string }

// Music answers with music. Only ThumbMediaID is required.
type Music struct{ Title, Description, MusicURL, HQMusicURL, ThumbMediaID string }

// News answers with articles: one to a user's message, up to eight to an event.
type News struct{ Articles []Article }

// Article is one of the articles of [News].
type Article struct{ Title, Description, PicURL, URL string }

// TransferCustomerService hands the user over to human customer service, to the
// named account of it if there is one.
type TransferCustomerService struct{ KfAccount string }

// Raw answers with a plaintext that the caller has made, envelope and all: an
// <xml> element with ToUserName, FromUserName, CreateTime and MsgType.
type Raw []byte

// Plaintext returns the XML with which r answers p, sent by the account to the
// user at the instant given. It is what gets encrypted.
//
// Errors: [ErrReply].
func Plaintext(p *Push, r Reply, at time.Time) ([]byte, error) {
	if r == nil {
		return nil, fmt.Errorf("%w: none given", ErrReply)
	}
	if err := r.check(p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReply, err)
	}
	var out []byte
	if raw, ok := r.(Raw); ok {
		out = raw
	} else {
		user, account := p.Field("FromUserName"), p.Field("ToUserName")
		if user == "" || account == "" {
			return nil, fmt.Errorf("%w: the push names no user or no account", ErrReply)
		}
		out = appendCDATA([]byte("<xml>"), "ToUserName", user)
		out = appendCDATA(out, "FromUserName", account)
		out = append(out, "<CreateTime>"...)
		out = strconv.AppendInt(out, at.Unix(), 10)
		out = append(out, "</CreateTime>"...)
		out = append(r.appendXML(out), "</xml>"...)
	}
	if len(out) > maxReply {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrReply, maxReply)
	}
	for rest := out; len(rest) > 0; {
		c, n := utf8.DecodeRune(rest)
		if !isXMLChar(c) || c == utf8.RuneError && n == 1 {
			return nil, fmt.Errorf("%w: a character that XML does not allow", ErrReply)
		}
		rest = rest[n:]
	}
	return out, nil
}

// appendCDATA appends an element. A text that would end its CDATA section is
// spread over two of them.
func appendCDATA(dst []byte, name, text string) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	dst = append(dst, cdataOpen...)
	dst = append(dst, strings.ReplaceAll(text, cdataClose, "]]"+cdataClose+cdataOpen+">")...)
	dst = append(dst, cdataClose...)
	return appendEnd(dst, name)
}

// appendOptional appends an element unless its text is "".
func appendOptional(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	return appendCDATA(dst, name, text)
}

func appendEnd(dst []byte, name string) []byte {
	return append(append(append(dst, "</"...), name...), '>')
}

func require(name, value string) error {
	if value == "" {
		return errors.New(name + " is missing")
	}
	return nil
}

func (r Text) check(*Push) error {
	if len(r.Content) > maxTextReply {
		return fmt.Errorf("text of %d bytes, at most %d are allowed", len(r.Content), maxTextReply)
	}
	return require("Content", r.Content)
}

func (r Text) appendXML(dst []byte) []byte {
	return appendCDATA(appendCDATA(dst, "MsgType", "text"), "Content", r.Content)
}

func (r Image) check(*Push) error { return require("MediaID", r.MediaID) }

func (r Image) appendXML(dst []byte) []byte {
	dst = append(appendCDATA(dst, "MsgType", "image"), "<Image>"...)
	return appendEnd(appendCDATA(dst, "MediaId", r.MediaID), "Image")
}

func (r Voice) check(*Push) error { return require("MediaID", r.MediaID) }

func (r Voice) appendXML(dst []byte) []byte {
	dst = append(appendCDATA(dst, "MsgType", "voice"), "<Voice>"...)
	return appendEnd(appendCDATA(dst, "MediaId", r.MediaID), "Voice")
}

func (r Video) check(*Push) error { return require("MediaID", r.MediaID) }

func (r Video) appendXML(dst []byte) []byte {
	dst = append(appendCDATA(dst, "MsgType", "video"), "<Video>"...)
	dst = appendCDATA(dst, "MediaId", r.MediaID)
	dst = appendOptional(dst, "Title", r.Title)
	return appendEnd(appendOptional(dst, "Description", r.Description), "Video")
}

func (r Music) check(*Push) error { return require("ThumbMediaID", r.ThumbMediaID) }

func (r Music) appendXML(dst []byte) []byte {
	dst = append(appendCDATA(dst, "MsgType", "music"), "<Music>"...)
	dst = appendOptional(dst, "Title", r.Title)
	dst = appendOptional(dst, "Description", r.Description)
	dst = appendOptional(dst, "MusicUrl", r.MusicURL)
	dst = appendOptional(dst, "HQMusicUrl", r.HQMusicURL)
	return appendEnd(appendCDATA(dst, "ThumbMediaId", r.ThumbMediaID), "Music")
}

func (r News) check(p *Push) error {
	most := maxNewsReplies
	if p.IsUserMessage() {
		most = 1
	}
	if len(r.Articles) == 0 || len(r.Articles) > most {
		return fmt.Errorf("%d articles, 1 to %d are allowed", len(r.Articles), most)
	}
	for _, article := range r.Articles {
		if err := require("Title", article.Title); err != nil {
			return err
		}
	}
	return nil
}

func (r News) appendXML(dst []byte) []byte {
	dst = append(appendCDATA(dst, "MsgType", "news"), "<ArticleCount>"...)
	dst = strconv.AppendInt(dst, int64(len(r.Articles)), 10)
	dst = append(dst, "</ArticleCount><Articles>"...)
	for _, article := range r.Articles {
		dst = append(dst, "<item>"...)
		dst = appendCDATA(dst, "Title", article.Title)
		dst = appendCDATA(dst, "Description", article.Description)
		dst = appendCDATA(dst, "PicUrl", article.PicURL)
		dst = appendCDATA(dst, "Url", article.URL)
		dst = append(dst, "</item>"...)
	}
	return appendEnd(dst, "Articles")
}

func (r TransferCustomerService) check(*Push) error { return nil }

func (r TransferCustomerService) appendXML(dst []byte) []byte {
	dst = appendCDATA(dst, "MsgType", "transfer_customer_service")
	if r.KfAccount == "" {
		return dst
	}
	return appendEnd(appendCDATA(append(dst, "<TransInfo>"...), "KfAccount", r.KfAccount), "TransInfo")
}

func (r Raw) check(*Push) error { return require("Raw", string(r)) }

func (r Raw) appendXML(dst []byte) []byte { return append(dst, r...) }
