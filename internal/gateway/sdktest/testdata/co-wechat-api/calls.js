// Makes one API object of the library and calls what it is told to. The first line of
// standard input is {base, appid, secret}, every further one {method, args}; each gets a
// line {value} or {error: {name, code, message}}. A Buffer stands as {base64}. The
// library is as it was published; of the object only the base URLs change.
const API = require('co-wechat-api');

const fromJSON = (value) => (value && value.base64 !== undefined ? Buffer.from(value.base64, 'base64') : value);
const toJSON = (value) => (Buffer.isBuffer(value) ? { base64: value.toString('base64') } : value);

(async () => {
  let api;
  for await (const line of require('node:readline').createInterface({ input: process.stdin })) {
    const { base, appid, secret, method, args = [] } = JSON.parse(line);
    if (!api) {
      api = new API(appid, secret);
      for (const name of Object.keys(api).filter((name) => /prefix$/i.test(name))) {
        api[name] = base + new URL(api[name]).pathname;
      }
      continue;
    }
    let answer;
    try {
      answer = { value: toJSON(await api[method](...args.map(fromJSON))) };
    } catch ({ name, code, message }) {
      answer = { error: { name, code, message } };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
})();
