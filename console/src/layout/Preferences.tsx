import { useTranslation } from 'react-i18next';
import { useLanguage, type Language } from '@/i18n';
import { useTheme, type ThemeChoice } from '@/theme';

/** Language and theme, as the browser's own lists: they work everywhere, with any input. */
export function Preferences() {
  const { t } = useTranslation('layout');
  const { language, setLanguage } = useLanguage();
  const { choice, setTheme } = useTheme();
  return (
    <div className="preferences">
      <label>
        <span className="visually-hidden">{t('language')}</span>
        <select value={language} onChange={(event) => setLanguage(event.target.value as Language)}>
          <option value="zh" lang="zh-CN">
            中文
          </option>
          <option value="en" lang="en">
            English
          </option>
        </select>
      </label>
      <label>
        <span className="visually-hidden">{t('theme.theme')}</span>
        <select value={choice} onChange={(event) => setTheme(event.target.value as ThemeChoice)}>
          {(['system', 'light', 'dark'] as const).map((theme) => (
            <option key={theme} value={theme}>
              {t(`theme.${theme}`)}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
