// Waiting for a fact without sleeping: the event loop turns until the fact holds, or the wait's limit fails
// the test with the name of what never came. The machine's clock only bounds; it decides nothing.

const limitMs = 90_000;
/** Most facts come within this time; for the others the wait leaves the processor to those who bring them. */
const eagerMs = 20;

export async function until(what: string, holds: () => boolean): Promise<void> {
  if (!(await comes(holds, limitMs))) throw new Error(`waited in vain for ${what}`);
}

/** False: it did not come within the limit. */
export async function comes(holds: () => boolean, withinMs: number): Promise<boolean> {
  const startedMs = performance.now();
  while (!holds()) {
    const waitedMs = performance.now() - startedMs;
    if (waitedMs > withinMs) return false;
    await new Promise<void>((resolve) => {
      if (waitedMs < eagerMs) setImmediate(resolve);
      else setTimeout(resolve, 1);
    });
  }
  return true;
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
