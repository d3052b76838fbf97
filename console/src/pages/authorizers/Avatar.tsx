/** The first character of a name: pictures of WeChat's are on servers that a page may not load from. */
export function Avatar({ name, large = false }: { name: string; large?: boolean }) {
  return (
    <span className={`avatar${large ? ' large' : ''}`} aria-hidden="true">
      {[...name][0]?.toUpperCase() ?? '?'}
    </span>
  );
}
