const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

function letters(length: number, alphabet = base64): string {
  const fair = 256 - (256 % alphabet.length);
  let text = '';
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      if (byte < fair && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}

/** A Token to sign pushes with: 32 letters and digits. */
export function randomToken(): string {
  return letters(32);
}

/**
 * An EncodingAESKey: 32 bytes in base64 without its padding, of letters and digits only. The
 * last of the 43 stands for four bits, so its two lowest are zero, as strict decoders want.
 */
export function randomAESKey(): string {
  return letters(42) + letters(1, 'AEIMQUYcgkosw048');
}
