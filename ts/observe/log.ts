// The program's log: one JSON line for each event on the standard output, through pino. Also turns what
// the proxy publishes on its channels into lines. Nobody else imports pino; the rest of the program gets
// the four functions of Log.

import { pino, stdTimeFunctions } from 'pino';
import {
  type ExchangeReport,
  exchangeChannel,
  type FaultReport,
  faultChannel,
  type OriginReport,
  originChannel,
} from './channels.js';

type Write = (fields: object, message: string) => void;

export interface Log {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
}

export interface ProgramLog extends Log {
  /** Writes out what is buffered and stops listening to the channels. */
  close(): void;
}

// A reader of the log that has stopped reading must not become our memory: beyond this, lines are lost.
const bufferedMax = 16 * 1024 * 1024;

/** A line for each request is for debugging; what an operator has to know of is louder. */
function levelOf({ error }: ExchangeReport): 'debug' | 'warn' | 'error' {
  if (error === '' || error.startsWith('ERR_MILLRACE_CLIENT_')) return 'debug';
  const isExpected = error.startsWith('ERR_MILLRACE_') && error !== 'ERR_MILLRACE_INTERNAL';
  return isExpected ? 'warn' : 'error';
}

/** `level`: one of log_level's words. */
export function createLog(level: string): ProgramLog {
  const destination = pino.destination({ dest: 1, sync: false, maxLength: bufferedMax });
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const onFault = (report: unknown): void => logger.warn(report as FaultReport, 'fault');
  const onExchange = (report: unknown): void =>
    logger[levelOf(report as ExchangeReport)](report as ExchangeReport, 'exchange');
  const onOrigin = (report: unknown): void => {
    const { state } = report as OriginReport;
    logger[state === 'in' ? 'info' : 'warn'](report as OriginReport, 'origin');
  };
  originChannel.subscribe(onOrigin);
  faultChannel.subscribe(onFault);
  exchangeChannel.subscribe(onExchange);
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    close: () => {
      originChannel.unsubscribe(onOrigin);
      faultChannel.unsubscribe(onFault);
      exchangeChannel.unsubscribe(onExchange);
      destination.flushSync();
    },
  };
}

/** For programs that embed the proxy and did not ask for lines. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};
