// Names of tags in Surrogate-Key and Cache-Tag, and their way out of what clients get.

import test from 'ava';
import { tagsOf, withoutTags } from '../../../ts/http/tags.js';

test('tags: spaces part Surrogate-Key, commas Cache-Tag, each name counts once', (t) => {
  t.deepEqual(
    tagsOf(['Surrogate-Key', ' a  b\ta ', 'cache-tag', 'c, d e ,,a', 'SURROGATE-KEY', 'f']),
    ['a', 'b', 'f', 'c', 'd e'],
  );
});

test('tags: no field is not the same as an empty one', (t) => {
  t.is(tagsOf(['Content-Type', 'text/plain']), null);
  t.deepEqual(tagsOf(['Surrogate-Key', ' ']), []);
});

test('tags: fields without them come back as they are, others lose them alone', (t) => {
  const plain = ['A', '1', 'B', '2'];
  t.is(withoutTags(plain), plain);
  t.deepEqual(withoutTags(['A', '1', 'surrogate-key', 'x', 'B', '2', 'Cache-Tag', 'y']), plain);
});
