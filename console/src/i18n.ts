import i18next, { type BackendModule } from 'i18next';
import { initReactI18next } from 'react-i18next';
import { signal, useSignal } from './api/signal';

export type Language = 'zh' | 'en';

/** A short text in both languages, where a namespace would be too much. */
export type Text = Record<Language, string>;

const key = 'tuoguan.language';

type Texts = { default: Record<string, unknown> };

// Every folder with a zh.ts and an en.ts is a namespace of its name, loaded when first used.
const files = import.meta.glob<Texts>(['./pages/*/{zh,en}.ts', './{shared,layout,session,setup}/{zh,en}.ts']);

const backend: BackendModule = {
  type: 'backend',
  init() {},
  read(lng, namespace, done) {
    const load = files[`./pages/${namespace}/${lng}.ts`] ?? files[`./${namespace}/${lng}.ts`];
    if (!load) {
      done(new Error(`no texts of ${namespace} in ${lng}`), null);
      return;
    }
    load().then(
      (texts) => done(null, texts.default),
      (error: Error) => done(error, null),
    );
  },
};

const current = signal<Language>(remembered());

function remembered(): Language {
  const chosen = localStorage.getItem(key) ?? navigator.languages.find((tag) => /^(zh|en)\b/.test(tag));
  return chosen?.startsWith('en') ? 'en' : 'zh';
}

/** The language of the console now. Components watch it with {@link useLanguage}. */
export function language(): Language {
  return current.get();
}

/** The language of the console, and how to change it. */
export function useLanguage(): { language: Language; setLanguage: (language: Language) => void; text: (text: Text) => string } {
  const language = useSignal(current);
  return { language, setLanguage, text: (text) => text[language] };
}

function setLanguage(language: Language): void {
  localStorage.setItem(key, language);
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  void i18next.changeLanguage(language).then(() => current.set(language));
}

export async function startI18n(): Promise<void> {
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
  await i18next
    .use(backend)
    .use(initReactI18next)
    .init({
      lng: language(),
      supportedLngs: ['zh', 'en'],
      fallbackLng: false,
      ns: ['shared'],
      defaultNS: 'shared',
      interpolation: { escapeValue: false },
      returnNull: false,
    });
}
