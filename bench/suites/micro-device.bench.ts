// Suite micro-device: aligned block reads and writes through the engine's device layer.

import type { Suite } from '../harness.js';
import { measureNative } from '../micro/native.js';

export const microDeviceSuite: Suite = {
  name: 'micro-device',
  title: 'Block I/O: sizes, depths, threads',
  about:
    'Random reads and sequential writes of 4 KiB to 1 MiB with direct I/O on a written file, ' +
    'with one and eight requests under way, through the device layer that the store uses. No ' +
    'checksums, no index, no JavaScript: what the disk gives to the rest.',
  run: (context) => measureNative(context, 'device'),
};
