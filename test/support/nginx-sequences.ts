// What curl asks of a millrace in front of nginx, and what must come of it: conditions, ranges, Vary, stale
// answers, invalidation. Played by nginx-transcript.ts.

export type Step =
  | {
      readonly kind: 'curl';
      readonly target: string;
      readonly options: readonly string[];
      readonly gives: { readonly status: number; readonly cache: string; readonly body?: string };
      /** Beginnings of the lines in nginx's log. */
      readonly asked?: readonly string[];
    }
  | { readonly kind: 'wait'; readonly seconds: number }
  | { readonly kind: 'nginx'; readonly does: 'start' | 'stop' };

export interface Sequence {
  readonly title: string;
  readonly what: string;
  readonly steps: readonly Step[];
}

type Gives = (Step & { kind: 'curl' })['gives'];

function get(
  target: string,
  options: readonly string[],
  gives: Gives,
  ...asked: readonly string[]
): Step {
  return { kind: 'curl', target, options, gives, asked };
}

const wait = (seconds: number): Step => ({ kind: 'wait', seconds });
const field = (...lines: readonly string[]) => lines.flatMap((line) => ['-H', line]);

const page = 'The first page.\n';
const pageTag = '"65920080-10"';
const pageDate = 'Mon, 01 Jan 2024 00:00:00 GMT';

export const sequences: readonly Sequence[] = [
  {
    title: 'Conditions',
    what: 'A miss, a hit, conditions judged from the store, and the validation of what is stale.',
    steps: [
      get('/page.txt', [], { status: 200, cache: 'MISS', body: page }, 'GET /page.txt -> 200'),
      get('/page.txt', [], { status: 200, cache: 'HIT', body: page }),
      get('/page.txt', ['-I'], { status: 200, cache: 'HIT', body: '' }),
      get('/page.txt', field(`If-None-Match: ${pageTag}`), { status: 304, cache: 'HIT' }),
      get('/page.txt', field('If-None-Match: "other"'), { status: 200, cache: 'HIT', body: page }),
      get('/page.txt', field(`If-Modified-Since: ${pageDate}`), { status: 304, cache: 'HIT' }),
      wait(70),
      get(
        '/page.txt',
        [],
        { status: 200, cache: 'REVALIDATED', body: page },
        `GET /page.txt -> 304 inm=\\x2265920080-10\\x22 ims=${pageDate}`,
      ),
      get('/page.txt', [], { status: 200, cache: 'HIT', body: page }),
      get(
        '/page.txt',
        field('Cache-Control: no-cache', `If-None-Match: ${pageTag}`),
        { status: 304, cache: 'REVALIDATED' },
        'GET /page.txt -> 304',
      ),
    ],
  },
  {
    title: 'Ranges',
    what: 'Parts of what is stored, a range that nothing satisfies, and If-Range.',
    steps: [
      get('/digits.txt', [], { status: 200, cache: 'MISS' }, 'GET /digits.txt -> 200'),
      get('/digits.txt', ['-r', '2-4'], { status: 206, cache: 'HIT', body: '234' }),
      get('/digits.txt', ['-r', '-3'], { status: 206, cache: 'HIT', body: '789' }),
      get('/digits.txt', ['-r', '7-'], { status: 206, cache: 'HIT', body: '789' }),
      get('/digits.txt', ['-r', '10-'], { status: 416, cache: 'HIT' }),
      get('/digits.txt', ['-r', '2-4', ...field('If-Range: "65920080-a"')], {
        status: 206,
        cache: 'HIT',
        body: '234',
      }),
      get('/digits.txt', ['-r', '2-4', ...field('If-Range: "other"')], {
        status: 200,
        cache: 'HIT',
        body: '0123456789',
      }),
    ],
  },
  {
    title: 'Vary',
    what: 'Each choice of the named field is an answer of its own; other fields do not matter.',
    steps: [
      get(
        '/vary.txt',
        field('X-Kind: red'),
        { status: 200, cache: 'MISS', body: 'kind red\n' },
        'GET /vary.txt -> 200',
      ),
      get(
        '/vary.txt',
        field('X-Kind: blue'),
        { status: 200, cache: 'MISS', body: 'kind blue\n' },
        'GET /vary.txt -> 200',
      ),
      get('/vary.txt', field('X-Kind: red', 'Cookie: a=1'), {
        status: 200,
        cache: 'HIT',
        body: 'kind red\n',
      }),
      get('/vary.txt', [], { status: 200, cache: 'MISS', body: 'kind \n' }, 'GET /vary.txt -> 200'),
      get('/vary.txt', field('X-Kind: blue'), { status: 200, cache: 'HIT', body: 'kind blue\n' }),
    ],
  },
  {
    title: 'Not for sharing',
    what: 'What is private is asked for each time.',
    steps: [
      get('/private.txt', [], { status: 200, cache: 'MISS' }, 'GET /private.txt -> 200'),
      get('/private.txt', [], { status: 200, cache: 'MISS' }, 'GET /private.txt -> 200'),
    ],
  },
  {
    title: 'Stale',
    what:
      'An answer at once while it is validated behind it; an origin that is gone, where the response ' +
      'allows it and where it does not.',
    steps: [
      get('/behind.txt', [], { status: 200, cache: 'MISS', body: page }, 'GET /behind.txt -> 200'),
      get('/strict.txt', [], { status: 200, cache: 'MISS', body: page }, 'GET /strict.txt -> 200'),
      wait(70),
      get('/behind.txt', [], { status: 200, cache: 'STALE', body: page }, 'GET /behind.txt -> 304'),
      get('/behind.txt', [], { status: 200, cache: 'HIT', body: page }),
      { kind: 'nginx', does: 'stop' },
      wait(130),
      get('/behind.txt', [], { status: 200, cache: 'STALE', body: page }),
      get('/strict.txt', [], { status: 504, cache: 'NONE' }),
      get('/strict.txt', field('Cache-Control: only-if-cached, max-stale'), {
        status: 504,
        cache: 'NONE',
      }),
      { kind: 'nginx', does: 'start' },
      wait(60),
      get('/strict.txt', [], { status: 200, cache: 'REVALIDATED' }, 'GET /strict.txt -> 304'),
    ],
  },
  {
    title: 'Invalidation',
    what: 'A POST that succeeds takes what is stored under its URL, one that fails does not.',
    steps: [
      get('/post.txt', [], { status: 200, cache: 'MISS' }, 'GET /post.txt -> 200'),
      get('/post.txt', [], { status: 200, cache: 'HIT' }),
      get('/post.txt', ['-X', 'POST'], { status: 204, cache: 'BYPASS' }, 'POST /post.txt -> 204'),
      get('/post.txt', [], { status: 200, cache: 'MISS' }, 'GET /post.txt -> 200'),
      get(
        '/digits.txt',
        ['-X', 'POST'],
        { status: 405, cache: 'BYPASS' },
        'POST /digits.txt -> 405',
      ),
    ],
  },
];
