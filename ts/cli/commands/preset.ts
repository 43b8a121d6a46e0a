// `millrace preset`: prints a preset as the configuration that it is, or says which there are.

import { isPresetName, presetNames, presets } from '../../config/presets.js';
import { columnLines } from '../columns.js';
import type { CommandOutput } from './check.js';

/** Exit status: 0, or 2 where there is no preset of that name. */
export function presetCommand(name: string | undefined, io: CommandOutput): number {
  if (name === undefined) {
    const lines = columnLines(
      presetNames.map((known) => [known, presets[known].about] as const),
      '',
    );
    for (const line of lines) io.stdout(line);
    return 0;
  }
  if (!isPresetName(name)) {
    io.stderr(`there is no preset ${JSON.stringify(name)}; allowed: ${presetNames.join(', ')}`);
    return 2;
  }
  io.stdout(presets[name].text.trimEnd());
  return 0;
}
