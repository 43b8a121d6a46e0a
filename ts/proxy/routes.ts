// The configured routes, compiled: the native table answers with a number, this file says what it stands for.

import type { Config, RouteConfig } from '../config/schema.js';
import { compileRouteTable, type RouteTable } from '../store/route-table.js';

export interface Routes {
  readonly table: RouteTable;
  readonly rules: readonly RouteConfig[];
  /** Whether the path is one of slice_patterns. */
  isSliced(host: string, target: string): boolean;
}

export function compileRoutes(config: Config): Routes {
  const table = compileRouteTable(
    config.routes.map(({ match, cache }) => ({
      host: match.host,
      path: match.path,
      patterns: match.patterns,
      methods: match.methods,
      query: cache.key.query.kind,
      queryNames: 'names' in cache.key.query ? cache.key.query.names : [],
      sortQuery: cache.key.sortQuery,
      keyHost: cache.key.host,
    })),
  );
  return { table, rules: config.routes, isSliced: slicedBy(config.slicePatterns) };
}

function slicedBy(patterns: readonly string[]): Routes['isSliced'] {
  if (patterns.length === 0) return () => false;
  const every = { host: null, path: null, methods: null, keyHost: null } as const;
  const query = { query: 'keep', queryNames: [], sortQuery: false } as const;
  const table = compileRouteTable([{ ...every, ...query, patterns }]);
  return (host, target) => table.match('GET', host, target) === 0;
}
