// Waiting for a fact without sleeping: the event loop turns until the fact holds, or the wait's limit fails
// the test with the name of what never came. The machine's clock only bounds; it decides nothing.

const limitMs = 20_000;

export async function until(what: string, holds: () => boolean): Promise<void> {
  const startedMs = performance.now();
  while (!holds()) {
    if (performance.now() - startedMs > limitMs) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** Something that one side of a test waits at until the other side opens it. */
export function gate(): Gate {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
