// What both sides of a scenario sent and received, in order, as text that a failure can show. Long bodies
// are cut to their beginning; control characters are made visible, so that a stray CR or NUL can be seen.

const shownBytes = 600;
/** The end of a long scenario is what explains its failure. */
const shownLines = 90;

export type Side = 'client >' | 'client <' | 'origin >' | 'origin <' | 'scene';

export class Transcript {
  readonly #entries: string[] = [];

  /** `client >` is what the client sent, `origin <` what the origin received, and so on. */
  note(side: Side, text: string): void {
    const shown =
      text.length > shownBytes
        ? `${text.slice(0, shownBytes)}\n... ${text.length} bytes in all`
        : text;
    const lines = visible(shown).replace(/\n$/, '').split('\n');
    for (const line of lines) this.#entries.push(`${side.padEnd(8)} | ${line}`);
  }

  text(): string {
    const left = this.#entries.length - shownLines;
    if (left <= 0) return this.#entries.join('\n');
    return [`... ${left} lines before`, ...this.#entries.slice(left)].join('\n');
  }
}

/** CRLF becomes a line end; everything else that cannot be printed gets a name. */
export function visible(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(/[^\n\x20-\x7e]/g, (character) =>
      character === '\r' ? '<CR>' : `<${character.charCodeAt(0).toString(16).padStart(2, '0')}>`,
    );
}
