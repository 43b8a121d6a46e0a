// ${NAME} in values: what it gives, what it refuses, and that a variable can never become YAML.
// The function alone first; then through loadConfig, where lines are known.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} in texts is the subject.

import test from 'ava';
import { interpolate } from '../../../ts/config/interpolate.js';
import { loadConfig } from '../../../ts/config/load.js';

const env = { HOST: 'origin', EMPTY: '', NESTED: '${HOST}', YAML: 'x: 1\nlisten: [a]  # no' };

test('interpolate: a reference gives the value of its variable', (t) => {
  t.deepEqual(interpolate('http://${HOST}:80/${HOST}', env), {
    value: 'http://origin:80/origin',
    problems: [],
  });
});

test('interpolate: a default stands in for a variable that is unset or empty', (t) => {
  t.is(interpolate('${NONE:-a b}', env).value, 'a b');
  t.is(interpolate('${EMPTY:-other}', env).value, 'other');
  t.is(interpolate('${HOST:-other}', env).value, 'origin');
  t.is(interpolate('[${NONE:-}]', env).value, '[]');
  t.deepEqual(interpolate('[${EMPTY}]', env), { value: '[]', problems: [] });
});

test('interpolate: a doubled dollar stands for the text itself', (t) => {
  t.deepEqual(interpolate('$${HOST} $HOST', env), { value: '${HOST} $HOST', problems: [] });
});

test('interpolate: what a variable holds is not looked into again', (t) => {
  t.is(interpolate('${NESTED}', env).value, '${HOST}');
});

test('interpolate: a name that every object has is still no variable', (t) => {
  t.is(interpolate('${constructor}', {}).problems.length, 1);
});

test('interpolate: a malformed reference is a problem that shows how to write one', (t) => {
  for (const text of ['${}', '${A-B}', '${1A}', '${HOST', '${HOST:=x}']) {
    const { problems } = interpolate(text, env);
    t.is(problems.length, 1, text);
    t.regex(problems[0]!, /allowed: \$\{NAME\}/);
  }
});

test('interpolate: a missing variable is told with its line and its name', (t) => {
  const text = 'upstream_address: "a:1"\nenable_l2_cache: false\npurge:\n  auth_token: ${TOKEN}\n';
  const error = t.throws(() => loadConfig({ path: 'millrace.yaml', text, env }));
  t.is(
    error?.message,
    'millrace.yaml:4: purge.auth_token: environment variable TOKEN is not set; ' +
      'set it, or write ${TOKEN:-default} to do without',
  );
});

test('interpolate: a variable never becomes YAML', (t) => {
  const text = 'upstream_address: "a:1"\nenable_l2_cache: false\nlog_level: ${YAML}\n';
  const error = t.throws(() => loadConfig({ path: 'millrace.yaml', text, env }));
  t.regex(error!.message, /^millrace\.yaml:3: log_level: found "x: 1\\nlisten/);
  t.notRegex(error!.message, /\n/);
});

test('interpolate: variables may hold sizes, durations, numbers and flags', (t) => {
  const text = `
    upstream_address: \${UPSTREAM}
    enable_l2_cache: \${L2}
    memory_limit: \${MEMORY}
    cache_ttl: \${TTL}
    max_retries: \${RETRIES}
  `;
  const { config } = loadConfig({
    text,
    env: { UPSTREAM: 'a:1', L2: 'false', MEMORY: '536870912', TTL: '5m', RETRIES: '2' },
  });
  t.is(config.upstreams.get('upstream_address')?.origins[0]?.url.port, '1');
  t.false(config.enableL2Cache);
  t.is(config.memoryLimitBytes, 512 * 1024 * 1024);
  t.is(config.cacheTtlMs, 300_000);
});

test('interpolate: comments, keys and programmatic options are left alone', (t) => {
  const text = 'upstream_address: "a:1" # ${NONE}\nenable_l2_cache: false\n';
  t.notThrows(() => loadConfig({ text, env: {} }));
  const own = { upstream_address: 'a:1', enable_l2_cache: false };
  const input = { ...own, l2_cache_dir: '${NONE}' };
  t.notThrows(() => loadConfig({ input, env: {} }));
});

test('interpolate: a value that --set replaces needs no variable', (t) => {
  const text = 'upstream_address: ${NONE}\nenable_l2_cache: false\n';
  const { config } = loadConfig({ text, env: {}, set: ['upstream_address=b:2'] });
  t.is(config.upstreams.get('upstream_address')?.origins[0]?.url.host, 'b:2');
});
