// How long work shows itself. On a terminal a bar; in a log or a pipe one plain line for every
// tenth, so that a service manager's journal holds eleven lines at most and never a carriage
// return. Which work it is, and what its numbers mean, the commands say.

import cliProgress from 'cli-progress';

export interface Progress {
  update(value: number): void;
  stop(): void;
}

/** Shows 0 of `total` at once. `format` writes values for people: bytes, counts, segments. */
export function startProgress(
  label: string,
  total: number,
  format: (value: number) => string,
  stream: NodeJS.WriteStream,
): Progress {
  return stream.isTTY
    ? startBar(label, total, format, stream)
    : startLines(label, total, format, stream);
}

/** Widest bar, and the narrowest that still shows something. */
const barColumnsMax = 40;
const barColumnsMin = 8;
/** What stands beside bar, label and values: brackets, spaces, "100%" and " of ". */
const besideColumns = 12;
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function startBar(
  label: string,
  total: number,
  format: (value: number) => string,
  stream: NodeJS.WriteStream,
): Progress {
  const whole = format(total);
  // The numbers matter more than the bar, which is what a narrow terminal does without.
  const free = stream.columns - label.length - 2 * whole.length - besideColumns;
  const drawn = free < barColumnsMin ? '' : ' [{bar}]';
  const bar = new cliProgress.SingleBar({
    format: `${label}${drawn} {percentage}% {shown} of ${whole}`,
    barsize: Math.min(barColumnsMax, Math.max(1, free)),
    stream,
    hideCursor: true,
  });
  const stop = (): void => {
    for (const signal of stopSignals) process.off(signal, interrupted);
    bar.stop();
  };
  // Whoever interrupts the work gets a terminal back that shows its cursor and wraps its lines.
  const interrupted = (signal: NodeJS.Signals): void => {
    stop();
    process.kill(process.pid, signal);
  };
  for (const signal of stopSignals) process.on(signal, interrupted);
  bar.start(total, 0, { shown: format(0) });
  return {
    update: (value) =>
      bar.update(Math.min(value, total), { shown: format(Math.min(value, total)) }),
    stop,
  };
}

function startLines(
  label: string,
  total: number,
  format: (value: number) => string,
  stream: NodeJS.WriteStream,
): Progress {
  let tenthsShown = -1;
  let isStopped = false;
  const update = (value: number): void => {
    // Work of size nothing is done as soon as it starts.
    const tenths = total <= 0 ? 10 : Math.min(10, Math.floor((value / total) * 10));
    if (isStopped || tenths <= tenthsShown) return;
    tenthsShown = tenths;
    stream.write(
      `${label}: ${tenths * 10}% (${format(Math.min(value, total))} of ${format(total)})\n`,
    );
  };
  update(0);
  return {
    update,
    stop: () => {
      isStopped = true;
    },
  };
}
