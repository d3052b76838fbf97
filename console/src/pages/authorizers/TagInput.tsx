import { Button } from 'tdesign-react';
import { CloseIcon } from 'tdesign-icons-react';
import { useTranslation } from 'react-i18next';

/** The tags with those that were typed, at commas apart. */
export function withTyped(tags: string[], typed: string): string[] {
  const fresh = typed.split(/[,，]/).map((tag) => tag.trim());
  return [...new Set([...tags, ...fresh.filter((tag) => tag !== '')])];
}

/** Tags with a button each that takes it away, and an input whose Enter adds another. */
export function TagInput({
  control,
  tags,
  typed,
  onChange,
  onType,
}: {
  control: { id: string; 'aria-invalid': boolean; 'aria-describedby': string };
  tags: string[];
  /** What is in the input, not a tag yet. */
  typed: string;
  onChange: (tags: string[]) => void;
  onType: (typed: string) => void;
}) {
  const { t } = useTranslation('authorizers');
  return (
    <div className="tag-input">
      {tags.map((tag) => (
        <span key={tag} className="chip">
          {tag}
          <Button
            size="small"
            variant="text"
            shape="square"
            icon={<CloseIcon />}
            aria-label={t('tags.remove', { tag })}
            onClick={() => onChange(tags.filter((other) => other !== tag))}
          />
        </span>
      ))}
      <input
        {...control}
        className="typed"
        value={typed}
        placeholder={t('tags.placeholder')}
        autoComplete="off"
        onChange={(event) => onType(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.nativeEvent.isComposing) return;
          event.preventDefault();
          onChange(withTyped(tags, typed));
          onType('');
        }}
      />
    </div>
  );
}
