import { Button } from 'tdesign-react';
import { AddIcon } from 'tdesign-icons-react';
import { useId } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schema } from '@/api/client';
import { Field, type Form } from '@/shared';
import type { Answer } from './subscription';
import type { Values } from './values';

type Article = Schema<'Article'>;
type AnswerText = Exclude<keyof Answer, 'articles' | 'msg_type'>;

/** What each type of passive reply consists of. */
const parts: Record<string, AnswerText[]> = {
  text: ['content'],
  image: ['media_id'],
  voice: ['media_id'],
  video: ['media_id', 'title', 'description'],
  music: ['title', 'description', 'music_url', 'hq_music_url', 'thumb_media_id'],
  news: [],
  transfer_customer_service: ['kf_account'],
};

const articleParts = ['title', 'description', 'pic_url', 'url'] as const;

/** A reply that is always the same. */
export function AnswerFields({ form }: { form: Form<Values> }) {
  const { t } = useTranslation('subscriptions');
  const id = useId();
  const answer = form.values['sink.answer'];
  const set = (part: Partial<Answer>) => form.set('sink.answer', { ...answer, ...part });
  const articles = answer.articles ?? [];
  return (
    <>
      <Field form={form} name="sink.answer" label={t('answer.type')} hint={t('answer.hint')} required>
        {(control) => (
          <select
            {...control}
            value={answer.msg_type}
            onChange={(event) => {
              const type = event.target.value;
              form.set('sink.answer', { msg_type: type, ...(type === 'news' ? { articles: [emptyArticle] } : {}) });
            }}
          >
            {Object.keys(parts).map((type) => (
              <option key={type} value={type}>
                {t(`answer.types.${type}`)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {parts[answer.msg_type]?.map((part) => (
        <div key={part} className="field">
          <label htmlFor={`${id}-${part}`}>{t(`answer.parts.${part}`)}</label>
          {part === 'content' ? (
            <textarea id={`${id}-${part}`} value={answer[part] ?? ''} onChange={(event) => set({ [part]: event.target.value })} />
          ) : (
            <input id={`${id}-${part}`} type="text" value={answer[part] ?? ''} onChange={(event) => set({ [part]: event.target.value })} />
          )}
        </div>
      ))}
      {answer.msg_type === 'news' && (
        <>
          {articles.map((article, i) => (
            <ArticleFields
              key={i}
              number={i + 1}
              article={article}
              onChange={(changed) => set({ articles: articles.map((other, at) => (at === i ? changed : other)) })}
              onRemove={articles.length > 1 ? () => set({ articles: articles.filter((_, at) => at !== i) }) : undefined}
            />
          ))}
          <Button size="small" variant="outline" theme="default" icon={<AddIcon />} onClick={() => set({ articles: [...articles, emptyArticle] })}>
            {t('answer.addArticle')}
          </Button>
        </>
      )}
    </>
  );
}

const emptyArticle: Article = { title: '', description: '', pic_url: '', url: '' };

function ArticleFields({
  number,
  article,
  onChange,
  onRemove,
}: {
  number: number;
  article: Article;
  onChange: (article: Article) => void;
  onRemove?: () => void;
}) {
  const { t } = useTranslation('subscriptions');
  const id = useId();
  return (
    <fieldset className="subscriptions-article">
      <legend>{t('answer.article', { number })}</legend>
      {articleParts.map((part) => (
        <div key={part} className="field">
          <label htmlFor={`${id}-${part}`}>{t(`answer.parts.${part}`)}</label>
          <input id={`${id}-${part}`} type="text" value={article[part]} onChange={(event) => onChange({ ...article, [part]: event.target.value })} />
        </div>
      ))}
      {onRemove && (
        <Button size="small" variant="text" onClick={onRemove}>
          {t('answer.removeArticle', { number })}
        </Button>
      )}
    </fieldset>
  );
}
