// CDN-Loop: our name behind what was there, and a loop that shows whatever stands around it.

import test from 'ava';
import { appendCdnLoop, hasCdnLoop } from '../../../ts/http/cdn-loop.js';

test('cdn-loop: our name is put behind those before us, on one line', (t) => {
  t.deepEqual(appendCdnLoop(['A', 'b'], 'us'), ['A', 'b', 'CDN-Loop', 'us']);
  t.deepEqual(appendCdnLoop(['CDN-Loop', ''], 'us'), ['CDN-Loop', 'us']);
  const two = ['cdn-loop', 'one; v="1, 2"', 'A', 'b', 'CDN-Loop', 'two'];
  t.deepEqual(appendCdnLoop(two, 'us'), ['CDN-Loop', 'one; v="1, 2", two, us', 'A', 'b']);
});

test('cdn-loop: our name is found in any member, with parameters and in any case', (t) => {
  for (const value of ['us', 'one, us', 'US;a=b', 'one;a="x,y", us ; z', ' us ']) {
    t.true(hasCdnLoop(['CDN-Loop', value], 'us'), value);
  }
  t.true(hasCdnLoop(['cdn-loop', 'one', 'CDN-LOOP', 'us'], 'us'), 'on a line of its own');
  for (const value of ['', 'use', 'on;us', 'one;a="x, us"']) {
    t.false(hasCdnLoop(['CDN-Loop', value], 'us'), value);
  }
  t.false(hasCdnLoop(['Via', 'us'], 'us'));
});
