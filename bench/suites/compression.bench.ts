// The option enable_compression, for bodies that get smaller and for those that do not: what storing and
// reading back cost, and how many bytes go to the device.

import { mib } from '../support/bench.js';
import { numberIn } from '../support/millrace.js';
import { optionSuite } from '../support/option.js';
import { freshPath } from '../support/origin.js';
import { type BodyKind, bodyKinds } from '../support/pattern.js';
import { lower } from '../support/rows.js';

const namesOfKinds: Readonly<Record<BodyKind, string>> = {
  noise: 'binary',
  text: 'text',
  sparse: 'compressible',
};

export const compressionSuite = optionSuite(
  {
    name: 'compression',
    title: 'Compression on the disk',
    about:
      'enable_compression true and false: objects of 1 MiB of three kinds, stored and read back by a ' +
      'process that was started anew. Binary is noise, which nothing makes smaller; text is made of ' +
      'words; compressible is zeros with a byte here and there. Device bytes per body byte tells what ' +
      'compression leaves, with headers and padding.',
  },
  {
    option: 'enable_compression',
    bounds: { memoryBytes: 16 * mib, diskBytes: 2048 * mib },
    objects: ({ quick }) =>
      (quick ? (['text'] as const) : bodyKinds).map((kind) => ({
        name: `${namesOfKinds[kind]}, 1 MiB`,
        paths: Array.from({ length: quick ? 16 : 128 }, () => freshPath(mib, kind)),
        concurrency: 8,
      })),
    step: {
      whileStored: async (subject) => {
        const figuresOf = async () => {
          const { proxy, store } = await subject.stats();
          return [numberIn(store, 'deviceWrittenBytes'), numberIn(proxy, 'bodyBytes')] as const;
        };
        const [writtenBefore, bodyBefore] = await figuresOf();
        return async () => {
          const [written, body] = await figuresOf();
          const share = (written - writtenBefore) / Math.max(1, body - bodyBefore);
          return [lower('device bytes per body byte', 'ratio', share)];
        };
      },
    },
  },
);
