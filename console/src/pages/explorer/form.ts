import { createContext, useContext } from 'react';
import type { Json } from './exact';
import type { Mistake, Path } from './value';

/** The body that the fields of the form are about. */
export interface BodyContext {
  body: Json | undefined;
  set: (path: Path, value: Json | undefined) => void;
  /** By path; empty until it was tried to send. */
  mistakes: Record<string, Mistake>;
}

export const BodyContext = createContext<BodyContext | null>(null);

export function useBody(): BodyContext {
  const context = useContext(BodyContext);
  if (!context) throw new Error('no body');
  return context;
}
