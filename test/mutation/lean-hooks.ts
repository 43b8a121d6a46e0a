// Module hooks that give lean-ava to whoever imports ava.

interface Resolved {
  readonly url: string;
  readonly shortCircuit?: boolean;
}

type Next = (specifier: string, context: unknown) => Promise<Resolved>;

export function resolve(specifier: string, context: unknown, next: Next): Promise<Resolved> {
  if (specifier !== 'ava') return next(specifier, context);
  const url = new URL('./lean-ava.js', import.meta.url).href;
  return Promise.resolve({ url, shortCircuit: true });
}
