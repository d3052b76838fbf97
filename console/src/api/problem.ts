import { language } from '@/i18n';

/** What is wrong with one field of the body or one parameter. */
export interface FieldProblem {
  field: string;
  detail: string;
  detail_zh: string;
}

interface ProblemDocument {
  type?: string;
  title?: string;
  detail?: string;
  detail_zh?: string;
  errcode?: number;
  rid?: string;
  errors?: FieldProblem[] | null;
  components?: string[] | null;
}

/**
 * Any reply that is not a success. `name` is the heading in docs/problems.md
 * ("invalid-field"), or "disconnected" where the server did not answer, or "unreadable"
 * where something else than the server did.
 */
export class Problem extends Error {
  override readonly name: string;

  constructor(
    readonly status: number,
    name: string,
    private readonly document: ProblemDocument,
    /** Seconds after which it may help to try again; 0 where the server named none. */
    readonly retryAfter = 0,
  ) {
    super(document.title ?? name);
    this.name = name;
  }

  /** What is wrong and what helps, in the language of the console. */
  get detail(): string {
    const { title, detail, detail_zh } = this.document;
    return (language() === 'zh' ? detail_zh : detail) || detail || title || this.name;
  }

  /** What is wrong with each field, by its name, in the language of the console. */
  get fields(): Record<string, string> {
    const named = (this.document.errors ?? []).map((e): [string, string] => [
      e.field,
      language() === 'zh' ? e.detail_zh : e.detail,
    ]);
    return Object.fromEntries(named);
  }

  /** Nobody is signed in, or not any more. */
  get signedOut(): boolean {
    return this.name === 'unauthorized' || this.name === 'no-session';
  }

  /** WeChat's errcode, where WeChat answered with one. */
  get errcode(): number | undefined {
    return this.document.errcode;
  }

  /** WeChat's request id, where WeChat gave one. */
  get rid(): string | undefined {
    return this.document.rid;
  }

  /** The components to choose from, where an AppID alone was ambiguous. */
  get components(): string[] {
    return this.document.components ?? [];
  }

  static disconnected(): Problem {
    return new Problem(0, 'disconnected', {
      title: 'disconnected',
      detail: 'The server cannot be reached.',
      detail_zh: '无法连接服务器。',
    });
  }

  /** Reads the problem document of a reply that is not a success. */
  static async from(response: Response): Promise<Problem> {
    const retryAfter = Number(response.headers.get('Retry-After')) || 0;
    if (response.headers.get('Content-Type')?.startsWith('application/problem+json')) {
      const document = (await response.json().catch(() => ({}))) as ProblemDocument;
      return new Problem(response.status, document.type?.split('#')[1] ?? 'unreadable', document, retryAfter);
    }
    if (response.headers.get('Content-Type')?.startsWith('application/json')) {
      // The simulator says what was wrong in a sentence.
      const { error } = (await response.json().catch(() => ({}))) as { error?: string };
      if (error) return new Problem(response.status, 'simulator', { detail: error }, retryAfter);
    }
    return new Problem(
      response.status,
      'unreadable',
      {
        detail: `An answer with status ${response.status} that this console cannot read.`,
        detail_zh: `收到无法识别的应答，状态码 ${response.status}。`,
      },
      retryAfter,
    );
  }
}
