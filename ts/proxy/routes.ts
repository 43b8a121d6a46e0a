// The configured routes, compiled: the native table answers with a number, this file says what it stands for.

import type { Config, RouteConfig } from '../config/schema.js';
import { compileRouteTable, type RouteTable } from '../store/route-table.js';

export interface Routes {
  readonly table: RouteTable;
  readonly rules: readonly RouteConfig[];
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
  return { table, rules: config.routes };
}
