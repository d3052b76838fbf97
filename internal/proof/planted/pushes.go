//go:build unix

package main

// pushBugs are in the intake of pushes.
func pushBugs() []bug {
	const crypt = "wxcrypt/wxcrypt.go"
	return []bug{
		{
			name: "the signature is verified after the decryption", breaks: "INV-19",
			edits: []edit{{crypt, "\tvar generation Generation\n\tswitch c.verify(s, q, encrypt) {", "\tvar generation Generation\n\tif text, err := c.base64.decode(make([]byte, base64.StdEncoding.DecodedLen(len(encrypt))), encrypt); err != nil {\n\t\treturn Message{}, err\n\t} else {\n\t\ts.decrypter(c, 0).CryptBlocks(text, text)\n\t\tif _, err := c.unpack(text); err != nil {\n\t\t\treturn Message{}, err\n\t\t}\n\t}\n\tswitch c.verify(s, q, encrypt) {"}},
			check: check{pkg: "./wxcrypt", run: "^TestOpenRefuses$"}, says: "unsigned: ",
		},
		{
			name: "the AppID at the end of a message is not looked at", breaks: "INV-19",
			edits: []edit{{crypt, "if string(text[length:]) != c.appID {", "if string(text[length:]) != c.appID && len(text) == 0 {"}},
			check: check{pkg: "./wxcrypt", run: "^TestOpenRefuses$"}, says: "--- FAIL: TestOpenRefuses/receiver_longer",
		},
		{
			name: "a signature is compared by ==", breaks: "INV-21",
			edits: []edit{{crypt, "if subtle.ConstantTimeCompare(sum, s.text) == 1 && found < 0 {", "if string(sum) == q.MsgSignature && found < 0 && subtle.ConstantTimeCompare(nil, nil) == 1 {"}},
			check: check{pkg: "./internal/archtest", run: "^TestConstantTime$", reads: true}, says: "a secret or a signature is compared by ==",
		},
		{
			name: "the reason of a refusal is told to the requester", breaks: "INV-21",
			edits: []edit{{"push/handler.go", "answer(w, http.StatusForbidden, refusedBody)", "answer(w, http.StatusForbidden, string(refused.reason)+refusedBody[:0])"}},
			check: check{pkg: "./push", run: "^TestRefusals$"}, says: "--- FAIL: TestRefusals",
		},
		{
			name: "a recorded push may be sent again for ever", breaks: "INV-20",
			edits: []edit{{"push/handler.go", "off > h.config.Window {", "off > 1e6*h.config.Window {"}},
			check: check{pkg: "./push", run: "^TestWindow$"}, says: "--- FAIL: TestWindow",
		},
		{
			name: "the previous key is not tried after a change", breaks: "INV-12",
			edits: []edit{{crypt, "for _, encoded := range []string{c.EncodingAESKey, c.PreviousEncodingAESKey} {", "for _, encoded := range []string{c.EncodingAESKey} {"}},
			check: check{pkg: "./push", run: "^TestRotatedKey$"}, says: "--- FAIL: TestRotatedKey",
		},
		{
			name: "a push waits for the store as long as that takes", breaks: "INV-14",
			edits: []edit{{"push/handler.go", "timer := time.NewTimer(time.Until(start.Add(h.config.StoreTimeout)))", "timer := time.NewTimer(time.Until(start.Add(100 * h.config.StoreTimeout)))"}},
			check: check{pkg: "./push", run: "^TestStoreFailures$"}, says: "--- FAIL: TestStoreFailures/deaf_and_slow",
		},
	}
}
