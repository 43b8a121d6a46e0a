// What `doctor` says of one thing that it looked at.

export interface Finding {
  /** fail: an instance would not start, or not have what it is told to use. warn: it would run worse. */
  readonly state: 'ok' | 'warn' | 'fail';
  readonly what: string;
  readonly found: string;
  /** What to do; empty where nothing is. */
  readonly advice: string;
}

export const ok = (what: string, found: string): Finding => ({
  state: 'ok',
  what,
  found,
  advice: '',
});

export const warn = (what: string, found: string, advice: string): Finding => ({
  state: 'warn',
  what,
  found,
  advice,
});

export const fail = (what: string, found: string, advice: string): Finding => ({
  state: 'fail',
  what,
  found,
  advice,
});
