package wxcrypt

import "errors"

// The ways to fail. Each arrives in an [*Error], which has the official code.
var (
	// ErrConfig: Token, EncodingAESKey or AppID cannot be right.
	ErrConfig = errors.New("wxcrypt: bad configuration")
	// ErrEnvelope: the body is not an envelope, or one that says a thing twice.
	ErrEnvelope = errors.New("wxcrypt: bad envelope")
	// ErrSignature: msg_signature does not match. Nothing was decrypted.
	ErrSignature = errors.New("wxcrypt: msg_signature does not match")
	// ErrCiphertext: the Encrypt text is not base64, or not whole blocks.
	ErrCiphertext = errors.New("wxcrypt: bad ciphertext")
	// ErrDecrypt: padding or length are wrong, as under another EncodingAESKey.
	ErrDecrypt = errors.New("wxcrypt: cannot be decrypted")
	// ErrReceiver: the message is for another AppID.
	ErrReceiver = errors.New("wxcrypt: meant for another receiver")
	// ErrSeal: the message or reply cannot be built.
	ErrSeal = errors.New("wxcrypt: cannot be sealed")
)

// Codes of WeChat's own sample libraries. They never cross the wire; they serve to
// look a failure up in WeChat's pages.
// Source: third-party platform docs, "message encryption and decryption", read 2026-11.
const (
	CodeSignature  = -40001
	CodeParse      = -40002
	CodeIllegalKey = -40004
	CodeReceiver   = -40005
	CodeEncrypt    = -40006
	CodeDecrypt    = -40007
	CodeBuffer     = -40008
	CodeBase64     = -40010
	CodeReply      = -40011
)

// Error is the type of every error of this package. It never holds a secret, nor
// the signature that would have been right.
type Error struct {
	Code   int    // one of the Code constants
	Err    error  // one of the Err variables, or an error that wraps one
	Detail string // what exactly, or ""
}

// Error names the failure and its detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + ": " + e.Detail
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
