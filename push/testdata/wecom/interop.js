// Reads a list of {command, token, key, id, timestamp, nonce, message | encrypt} from
// standard input and writes a list of what became of each: "seal" gives {encrypt,
// signature}, "open" gives {message, id, signature}.
const { decrypt, encrypt, getSignature } = require('@wecom/crypto');

const answers = JSON.parse(require('node:fs').readFileSync(0, 'utf8')).map((input) => {
  const sign = (text) => getSignature(input.token, input.timestamp, input.nonce, text);
  if (input.command === 'seal') {
    const text = encrypt(input.key, input.message, input.id);
    return { encrypt: text, signature: sign(text) };
  }
  return { ...decrypt(input.key, input.encrypt), signature: sign(input.encrypt) };
});
process.stdout.write(JSON.stringify(answers));
