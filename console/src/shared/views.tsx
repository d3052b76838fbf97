import { Copy } from './Copy';

/** Any value as indented JSON. */
export function JsonView({ value, what }: { value: unknown; what: string }) {
  return <Source text={typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? '')} what={what} />;
}

/** XML, one element a line. */
export function XmlView({ xml, what }: { xml: string; what: string }) {
  return <Source text={indent(xml)} what={what} />;
}

function Source({ text, what }: { text: string; what: string }) {
  return (
    <div className="source">
      <Copy text={text} what={what} />
      <pre tabIndex={0} aria-label={what}>
        {text}
      </pre>
    </div>
  );
}

function indent(xml: string): string {
  let depth = 0;
  // CDATA is left as it is, whatever it contains.
  const parts = xml.split(/(<!\[CDATA\[[\s\S]*?\]\]>|<[^>]+>)/).filter((part) => part.trim() !== '');
  let out = '';
  let afterText = true;
  for (const part of parts) {
    const tag = part.startsWith('<') && !part.startsWith('<![CDATA[');
    const closing = part.startsWith('</');
    if (closing) depth--;
    if (tag && !(closing && afterText)) out += `${out === '' ? '' : '\n'}${'  '.repeat(Math.max(depth, 0))}`;
    out += tag ? part : part.trim();
    afterText = !tag || (!closing && !part.endsWith('/>') && !part.startsWith('<?'));
    if (tag && !closing && !part.endsWith('/>') && !part.startsWith('<?')) depth++;
    if (closing) afterText = false;
  }
  return out;
}
