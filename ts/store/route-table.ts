// The native route table: immutable, numbered, read by lanes and TypeScript alike. What the numbers mean is
// known to whoever compiled it.

import { loadAddon } from '../native/binding.js';

export interface RouteSpec {
  /** Lower case, without port; '*.example.com' takes any subdomain; null any host. */
  readonly host: string | null;
  /** Prefix of the path; null any. */
  readonly path: string | null;
  /** Of the path, one of them; empty any. */
  readonly patterns: readonly string[];
  readonly methods: readonly string[] | null;
  readonly query: 'keep' | 'drop' | 'only' | 'without';
  readonly queryNames: readonly string[];
  readonly sortQuery: boolean;
  /** Host of the key in place of the request's; null keeps it. */
  readonly keyHost: string | null;
}

export interface RouteTable {
  /** Number of the first route that matches, or -1. Host and target as received. */
  match(method: string, host: string, target: string): number;
  /** Canonical primary key under that route's rules. Throws a RangeError with the reason. */
  key(route: number, scheme: string, host: string, target: string): string;
}

export function compileRouteTable(routes: readonly RouteSpec[]): RouteTable {
  const { Routes } = loadAddon();
  return new Routes(
    routes.map((route) => [
      route.host ?? '',
      route.path ?? '',
      route.methods?.join(',') ?? '',
      route.query,
      route.queryNames.join('&'),
      route.sortQuery ? '1' : '',
      route.keyHost ?? '',
      route.patterns.join(' '),
    ]),
  );
}
