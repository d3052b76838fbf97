import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Duration, JsonView, StateTag, useLanguage } from '@/shared';
import type { Answer } from './call';
import { writeJson } from './exact';

/** WeChat's reply: what it means, and what it says. */
export function ReplyView({ answer }: { answer: Answer }) {
  const { t } = useTranslation('explorer');
  const { language } = useLanguage();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    heading.current?.scrollIntoView({ block: 'nearest' });
  }, [answer]);
  const { explanation } = answer;
  const zh = language === 'zh';
  return (
    <section className="panel explorer-reply">
      <h2 ref={heading} tabIndex={-1}>
        {t('reply.title')}
      </h2>
      <p className="row">
        <StateTag state={answer.errcode === 0 && answer.status < 400 ? 'ok' : 'error'} label={t(answer.errcode === 0 ? 'reply.ok' : 'reply.refused', { errcode: answer.errcode })} />
        <span>HTTP {answer.status}</span>
        <span>
          {t('reply.took')} <Duration ms={answer.duration_ms} />
        </span>
        <span className="hint">{answer.content_type}</span>
        {answer.request_id && (
          <span className="hint">
            {t('reply.request')} <code>{answer.request_id}</code>
          </span>
        )}
      </p>
      {explanation && (
        <div className="explorer-explanation">
          <p>
            <strong>
              errcode {explanation.code}: {explanation.known ? (zh ? explanation.meaning_zh : explanation.meaning) : t('reply.unknown')}
            </strong>
          </p>
          {(zh ? explanation.action_zh : explanation.action) && <p>{zh ? explanation.action_zh : explanation.action}</p>}
          {answer.errmsg && (
            <p className="hint">
              {t('reply.said')} <code>{answer.errmsg}</code>
            </p>
          )}
        </div>
      )}
      {answer.too_long && <p>{t('reply.tooLong')}</p>}
      {answer.body !== null && <JsonView value={writeJson(answer.body, 2)} what={t('reply.body')} />}
      {answer.text && <JsonView value={answer.text} what={t('reply.body')} />}
      {answer.base64 && <FileReply type={answer.content_type} base64={answer.base64} />}
    </section>
  );
}

function FileReply({ type, base64 }: { type: string; base64: string }) {
  const { t } = useTranslation('explorer');
  const plain = type.split(';')[0]!.trim() || 'application/octet-stream';
  const url = `data:${plain};base64,${base64}`;
  const size = Math.floor((base64.length * 3) / 4);
  return (
    <>
      {plain.startsWith('image/') && <img className="explorer-image" src={url} alt={t('reply.image')} />}
      <p>
        <a href={url} download={`reply.${plain.split('/')[1]}`}>
          {t('reply.download', { type: plain, size: Math.max(1, Math.round(size / 1024)) })}
        </a>
      </p>
    </>
  );
}
