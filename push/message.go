package push

// The structs of this file are what a user writes to an account.
// Source: official account and mini program docs, "receiving messages", read 2026-11.

// Message is what all messages have.
type Message struct {
	ToUserName   string // the account's original id, gh_…
	FromUserName string // the user's openid
	MsgID        string `wx:"MsgId"`     // a 64-bit number, the same in every retry
	MsgDataID    string `wx:"MsgDataId"` // of an article, where the message came from one
	Idx          string // which article of that
}

// TextMessage is text.
type TextMessage struct {
	Message
	Content      string
	BizMsgMenuID string `wx:"bizmsgmenuid"` // the menu entry that was tapped
}

// ImageMessage is image.
type ImageMessage struct {
	Message
	PicURL  string `wx:"PicUrl"`
	MediaID string `wx:"MediaId"`
}

// VoiceMessage is voice.
type VoiceMessage struct {
	Message
	MediaID     string `wx:"MediaId"`
	MediaID16K  string `wx:"MediaId16K"`
	Format      string
	Recognition string // the text, where voice recognition is on
}

// VideoMessage is video or shortvideo.
type VideoMessage struct {
	Message
	MediaID      string `wx:"MediaId"`
	ThumbMediaID string `wx:"ThumbMediaId"`
}

// LocationMessage is location.
type LocationMessage struct {
	Message
	Latitude  float64 `wx:"Location_X"`
	Longitude float64 `wx:"Location_Y"`
	Scale     float64
	Label     string
}

// LinkMessage is link.
type LinkMessage struct {
	Message
	Title       string
	Description string
	URL         string `wx:"Url"`
}

// MiniProgramPageMessage is miniprogrampage, a card of a mini program's page.
type MiniProgramPageMessage struct {
	Message
	Title        string
	AppID        string `wx:"AppId"`
	PagePath     string
	ThumbURL     string `wx:"ThumbUrl"`
	ThumbMediaID string `wx:"ThumbMediaId"`
}
