import { useTranslation } from 'react-i18next';
import type { Account } from './platform';

export function AccountRow({ account, note, onChoose }: { account: Account; note?: string; onChoose: () => void }) {
  const { t } = useTranslation('simulator');
  return (
    <button type="button" className="simulator-row" onClick={onChoose}>
      <span className="simulator-badge" aria-hidden="true">
        {account.nick_name.slice(0, 1)}
      </span>
      <span>
        {account.nick_name}
        <small>
          {t(`kind.${account.kind}`)} · {account.appid}
          {note && ` · ${note}`}
        </small>
      </span>
    </button>
  );
}
