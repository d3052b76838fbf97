import { useId, useState } from 'react';
import './suggest.css';

export interface Suggestion {
  value: string;
  /** Beside the value, in words. */
  label?: string;
}

/** What a Field gives its control. */
export interface ControlProps {
  id?: string;
  'aria-label'?: string;
  'aria-invalid'?: boolean;
  'aria-describedby'?: string;
}

/**
 * A text input that offers completions: the combobox of the ARIA authoring practices.
 * Arrows move, Enter takes, Escape closes the list.
 */
export function Suggest({
  value,
  options,
  label,
  placeholder,
  onChange,
  onChoose,
  onEnter,
  onLeave,
  ...control
}: ControlProps & {
  value: string;
  options: Suggestion[];
  /** Names the list of completions for screen readers. */
  label: string;
  placeholder?: string;
  onChange: (value: string) => void;
  onChoose: (value: string) => void;
  /** Enter without a completion chosen. */
  onEnter?: () => void;
  onLeave?: () => void;
}) {
  const list = useId();
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const shown = open ? options : [];
  const close = () => {
    setOpen(false);
    setActive(-1);
  };
  const choose = (chosen: string) => {
    close();
    onChoose(chosen);
  };
  const move = (by: number) => {
    setOpen(true);
    setActive((before) => (options.length === 0 ? -1 : (Math.max(before, by < 0 ? 0 : -1) + by + options.length) % options.length));
  };
  return (
    <div
      className="suggest"
      onBlur={(event) => {
        if (event.currentTarget.contains(event.relatedTarget)) return;
        close();
        onLeave?.();
      }}
    >
      <input
        {...control}
        type="text"
        role="combobox"
        autoComplete="off"
        spellCheck={false}
        aria-autocomplete="list"
        aria-expanded={shown.length > 0}
        aria-controls={shown.length > 0 ? list : undefined}
        aria-activedescendant={shown[active] ? `${list}-${active}` : undefined}
        value={value}
        placeholder={placeholder}
        onFocus={() => setOpen(true)}
        onClick={() => setOpen(true)}
        onChange={(event) => {
          onChange(event.target.value);
          setOpen(true);
          setActive(-1);
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          const chosen = shown[active];
          if (event.key === 'ArrowDown') move(1);
          else if (event.key === 'ArrowUp') move(-1);
          else if (event.key === 'Enter' && chosen) choose(chosen.value);
          else if (event.key === 'Enter' && onEnter) onEnter();
          else if (event.key === 'Escape' && shown.length > 0) {
            close();
            event.stopPropagation();
          } else return;
          event.preventDefault();
        }}
      />
      {shown.length > 0 && (
        <ul id={list} role="listbox" aria-label={label}>
          {shown.map((option, i) => (
            <li
              key={option.value}
              id={`${list}-${i}`}
              role="option"
              aria-selected={i === active}
              ref={i === active ? (element) => void element?.scrollIntoView({ block: 'nearest' }) : undefined}
              // The input keeps the focus.
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => choose(option.value)}
            >
              <span>{option.label ?? option.value}</span>
              {option.label && <code>{option.value}</code>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
