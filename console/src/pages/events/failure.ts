/** Why an attempt failed, as a key below "failure" of the texts; what helps stands there too. */
export type Failure =
  | 'none'
  | 'gone'
  | 'unauthorized'
  | 'missing'
  | 'tooLarge'
  | 'slowDown'
  | 'refused'
  | 'redirect'
  | 'broken'
  | 'timeout'
  | 'dns'
  | 'connection'
  | 'certificate'
  | 'blocked'
  | 'other';

/** Sorts the result of an attempt by what an operator can do about it. */
export function failureOf({ status, error }: { status: number; error: string }): Failure {
  if (error === '') return 'none';
  if (status === 410) return 'gone';
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 404 || status === 405) return 'missing';
  if (status === 413) return 'tooLarge';
  if (status === 429 || status === 503) return 'slowDown';
  if (status >= 300 && status < 400) return 'redirect';
  if (status >= 400 && status < 500) return 'refused';
  if (status >= 500) return 'broken';
  return byText(error);
}

// Without a status the network's own words are all there is. They only choose an
// explanation; the words themselves are shown beside it.
const words: Array<[RegExp, Failure]> = [
  [/not allowed|private|loopback|link-local|metadata/i, 'blocked'],
  [/deadline|timeout|timed out/i, 'timeout'],
  [/no such host|lookup|resolve/i, 'dns'],
  [/x509|certificate|tls/i, 'certificate'],
  [/refused|reset|unreachable|EOF|broken pipe|closed/i, 'connection'],
];

function byText(error: string): Failure {
  return words.find(([pattern]) => pattern.test(error))?.[1] ?? 'other';
}
