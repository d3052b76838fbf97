import { Copy } from './Copy';

/** An identifier in full, with a button that copies it. */
export function AppID({ id }: { id: string }) {
  return (
    <span className="appid">
      <code>{id}</code>
      <Copy text={id} what={id} />
    </span>
  );
}
