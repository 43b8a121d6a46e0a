// Node processes of the benchmark that are steered over fork()'s channel: one order, one message back,
// in turn. The origin, the client and the proxies that are written in JavaScript start here.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { InternalError } from '../../ts/errors.js';
import { pin } from './cores.js';
import { type Scope, stopChild, watch } from './scope.js';

export interface NodeChild<Order, Message> {
  readonly pid: number;
  /** The first message, which the process sends by itself. */
  readonly ready: Message;
  ask(order: Order): Promise<Message>;
  stop(): Promise<void>;
}

export interface NodeChildOptions {
  /** For messages. */
  readonly name: string;
  /** Of the compiled script. */
  readonly script: URL;
  readonly arguments?: readonly string[];
  readonly nodeOptions?: readonly string[];
  /** Cores that it may run on. */
  readonly cores: 'subject' | 'others';
  readonly scope: Scope;
}

const startLimitMs = 15_000;

export async function startNodeChild<Order, Message>(
  options: NodeChildOptions,
): Promise<NodeChild<Order, Message>> {
  const { name, script, scope } = options;
  scope.signal.throwIfAborted();
  const child = fork(fileURLToPath(script), [...(options.arguments ?? [])], {
    execArgv: [...(options.nodeOptions ?? [])],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  watch(child);
  const stop = scope.defer(() => stopChild(child, 'SIGTERM', 2000));
  if (scope.isPinned) pin(child.pid, options.cores);
  const hear = (limitMs: number | null): Promise<Message> =>
    nextMessage<Message>(child, name, scope.signal, limitMs);
  const ready = await hear(startLimitMs);
  return {
    pid: child.pid ?? 0,
    ready,
    ask: (order) => {
      const answer = hear(null);
      child.send(order as object);
      return answer;
    },
    stop,
  };
}

function nextMessage<Message>(
  child: ChildProcess,
  name: string,
  signal: AbortSignal,
  limitMs: number | null,
): Promise<Message> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => () => {
      settle();
      reject(signal.aborted ? signal.reason : new InternalError('INTERNAL', `${name} ${why}`));
    };
    const onMessage = (message: unknown): void => {
      settle();
      resolve(message as Message);
    };
    const onGone = fail('has ended by itself');
    const limit = limitMs === null ? null : setTimeout(fail('did not start'), limitMs);
    const settle = (): void => {
      if (limit !== null) clearTimeout(limit);
      child.off('message', onMessage);
      child.off('exit', onGone);
      signal.removeEventListener('abort', onGone);
    };
    child.on('message', onMessage);
    child.on('exit', onGone);
    signal.addEventListener('abort', onGone);
    if (signal.aborted || child.exitCode !== null || child.signalCode !== null) onGone();
  });
}
