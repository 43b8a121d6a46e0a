// The end of every exchange: gives back what it held, counts, and publishes what became of it.

import { MillraceError } from '../errors.js';
import { xCache } from '../http/cache-status.js';
import { type ExchangeReport, exchangeChannel } from '../observe/channels.js';
import type { Exchange } from './exchange.js';

export function finish(exchange: Exchange): void {
  const { services, failure } = exchange;
  if (exchange.rule !== null) services.prefetcher.finished(exchange);
  exchange.stored?.close();
  exchange.stored = null;
  services.counters.bodyBytes += exchange.sentBytes;
  services.counters.exchangesOpen -= 1;
  // A body that nobody read to its end would keep the connection from its next request.
  if (exchange.hasRequestBody && !exchange.request.complete) exchange.request.resume();
  if (!exchangeChannel.hasSubscribers) return;
  const report: ExchangeReport = {
    method: exchange.method,
    url: exchange.key === '' ? exchange.target : exchange.key,
    status: exchange.sentStatus,
    cache: xCache(exchange.handling),
    bodyBytes: exchange.sentBytes,
    durationMs: services.clock.monotonic() - exchange.startedMs,
    error: failure === null ? '' : failure instanceof MillraceError ? failure.code : failure.name,
    errorMessage: failure === null ? '' : failureText(failure),
  };
  exchangeChannel.publish(report);
}

/** A bug's stack belongs into the log; an expected fault is told by its sentence. */
function failureText(failure: Error): string {
  return failure instanceof MillraceError ? failure.message : (failure.stack ?? failure.message);
}
