import { Button } from 'tdesign-react';
import { AddIcon, CloseIcon } from 'tdesign-icons-react';
import { useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { isObject, readJson, writeJson, type Json } from './exact';
import { useBody } from './form';
import { isRequired, shapeOf, typeOf, type Node } from './tree';
import { pathText, typed, valueAt, type Path } from './value';

/** The fields of an object. */
export function NodeFields({ nodes, path }: { nodes: Node[]; path: Path }) {
  return nodes.map((node) =>
    node.name === '*' ? <MapRows key="*" node={node} path={path} /> : <NodeField key={node.name} node={node} path={[...path, node.name]} />,
  );
}

function NodeField({ node, path }: { node: Node; path: Path }) {
  const { t } = useTranslation('explorer');
  const { body } = useBody();
  const value = valueAt(body, path);
  const shape = shapeOf(node);
  if (shape === 'value') return <ValueField node={node} path={path} />;
  if (shape === 'json') return <JsonField node={node} path={path} />;
  const required = isRequired(node);
  return (
    <details className="explorer-group" open={required || value !== undefined}>
      <summary>
        <code>{node.name}</code> <Kind node={node} />
        {required && <span className="explorer-required">{t('required')}</span>}
        <Wrong path={path} />
      </summary>
      <div className="explorer-inner">
        {(shape === 'object' || shape === 'map') && <NodeFields nodes={node.children} path={path} />}
        {(shape === 'objects' || shape === 'values') && <Rows node={node} path={path} />}
      </div>
    </details>
  );
}

/** The elements of a list. */
function Rows({ node, path }: { node: Node; path: Path }) {
  const { t } = useTranslation('explorer');
  const { body, set } = useBody();
  const value = valueAt(body, path);
  const elements = Array.isArray(value) ? value : [];
  const objects = shapeOf(node) === 'objects';
  return (
    <>
      {elements.map((_, i) => (
        <div key={i} className="explorer-row">
          {objects ? (
            <fieldset>
              <legend>{t('element', { name: node.name, number: i + 1 })}</legend>
              <NodeFields nodes={node.children} path={[...path, i]} />
            </fieldset>
          ) : (
            <ValueField node={node} path={[...path, i]} label={`${node.name}[${i}]`} />
          )}
          <Button
            size="small"
            variant="text"
            shape="square"
            icon={<CloseIcon />}
            aria-label={t('removeElement', { name: node.name, number: i + 1 })}
            onClick={() => {
              const rest = elements.filter((_, at) => at !== i);
              set(path, rest.length > 0 ? rest : undefined);
            }}
          />
        </div>
      ))}
      <Button
        size="small"
        variant="outline"
        theme="default"
        icon={<AddIcon />}
        onClick={() => set(path, [...elements, objects ? {} : ''])}
      >
        {t('addElement', { name: node.name })}
      </Button>
    </>
  );
}

/** Fields of any name. */
function MapRows({ node, path }: { node: Node; path: Path }) {
  const { t } = useTranslation('explorer');
  const { body, set } = useBody();
  const [name, setName] = useState('');
  const id = useId();
  const value = valueAt(body, path);
  const names = isObject(value) ? Object.keys(value) : [];
  const add = () => {
    if (name === '' || names.includes(name)) return;
    set([...path, name], node.children.length > 0 ? Object.fromEntries(node.children.map((child) => [child.name, ''])) : '');
    setName('');
  };
  return (
    <>
      {names.map((key) => (
        <div key={key} className="explorer-row">
          {node.children.length > 0 ? (
            <fieldset>
              <legend>
                <code>{key}</code>
              </legend>
              <NodeFields nodes={node.children} path={[...path, key]} />
            </fieldset>
          ) : (
            <ValueField node={node} path={[...path, key]} label={key} />
          )}
          <Button
            size="small"
            variant="text"
            shape="square"
            icon={<CloseIcon />}
            aria-label={t('removeName', { name: key })}
            onClick={() => set([...path, key], undefined)}
          />
        </div>
      ))}
      <div className="field">
        <label htmlFor={id}>{t('newName')}</label>
        <div className="control">
          <input
            id={id}
            type="text"
            value={name}
            onChange={(event) => setName(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter') return;
              event.preventDefault();
              add();
            }}
          />
          <Button size="small" variant="outline" theme="default" icon={<AddIcon />} tag="button" disabled={name === ''} onClick={add}>
            {t('addName')}
          </Button>
        </div>
      </div>
    </>
  );
}

function ValueField({ node, path, label = node.name }: { node: Node; path: Path; label?: string }) {
  const { t } = useTranslation('explorer');
  const { body, set, mistakes } = useBody();
  const id = useId();
  const value = valueAt(body, path);
  const type = typeOf(node);
  const wrong = mistakes[pathText(path)];
  const inList = typeof path.at(-1) === 'number';
  // An element that is emptied stays in its place.
  const change = (text: string) => set(path, typed(text, type) ?? (inList ? '' : undefined));
  const control = {
    id,
    'aria-invalid': wrong !== undefined,
    'aria-describedby': wrong ? `${id}-wrong` : undefined,
    'aria-required': isRequired(node),
  };
  const text = value === undefined ? '' : typeof value === 'object' ? writeJson(value) : String(value);
  const choices = node.field?.values?.map(String) ?? (type === 'boolean' ? ['true', 'false'] : undefined);
  return (
    <div className={`field${wrong ? ' wrong' : ''}`}>
      <label htmlFor={id}>
        <code>{label}</code> <Kind node={node} />
        {isRequired(node) && !inList && <span className="explorer-required">{t('required')}</span>}
      </label>
      {choices ? (
        <select {...control} value={text} onChange={(event) => change(event.target.value)}>
          <option value="">{t('unset')}</option>
          {text !== '' && !choices.includes(text) && <option value={text}>{text}</option>}
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      ) : type === 'string' && /content|desc|remark|text|reason/i.test(node.name) ? (
        <textarea {...control} rows={2} value={text} onChange={(event) => change(event.target.value)} />
      ) : (
        <input
          {...control}
          type="text"
          inputMode={type === 'integer' || type === 'number' ? 'numeric' : undefined}
          autoComplete="off"
          spellCheck={false}
          value={text}
          onChange={(event) => change(event.target.value)}
        />
      )}
      {wrong && (
        <p id={`${id}-wrong`} className="mistake">
          {t(`wrong.${wrong}`)}
        </p>
      )}
    </div>
  );
}

/** A field that may hold anything: written as JSON. */
function JsonField({ node, path }: { node: Node; path: Path }) {
  const { t } = useTranslation('explorer');
  const { body, set, mistakes } = useBody();
  const id = useId();
  const value = valueAt(body, path);
  const written = value === undefined ? '' : writeJson(value, 2);
  const [draft, setDraft] = useState<string>();
  const wrong = draft !== undefined ? 'json' : mistakes[pathText(path)];
  const change = (text: string) => {
    if (text.trim() === '') {
      setDraft(undefined);
      set(path, undefined);
      return;
    }
    let read: Json;
    try {
      read = readJson(text);
    } catch {
      setDraft(text);
      return;
    }
    setDraft(undefined);
    set(path, read);
  };
  return (
    <div className={`field${wrong ? ' wrong' : ''}`}>
      <label htmlFor={id}>
        <code>{node.name}</code> <Kind node={node} />
        {isRequired(node) && <span className="explorer-required">{t('required')}</span>}
      </label>
      <textarea
        id={id}
        rows={3}
        spellCheck={false}
        className="explorer-code"
        aria-invalid={wrong !== undefined}
        aria-describedby={wrong ? `${id}-wrong` : undefined}
        placeholder={node.list ? '[]' : '{}'}
        value={draft ?? written}
        onChange={(event) => change(event.target.value)}
      />
      {wrong && (
        <p id={`${id}-wrong`} className="mistake">
          {t(`wrong.${wrong}`)}
        </p>
      )}
    </div>
  );
}

function Kind({ node }: { node: Node }) {
  const { t } = useTranslation('explorer');
  const conditional = node.field?.required === 'conditional';
  const list = node.list ? `${t('listOf')} ` : '';
  return (
    <span className="hint">
      {list}
      {t(`type.${node.children.some((child) => child.name === '*') ? 'map' : typeOf(node)}`)}
      {conditional && ` · ${t('conditional')}`}
    </span>
  );
}

function Wrong({ path }: { path: Path }) {
  const { t } = useTranslation('explorer');
  const wrong = useBody().mistakes[pathText(path)];
  return wrong ? <span className="mistake">{t(`wrong.${wrong}`)}</span> : null;
}
