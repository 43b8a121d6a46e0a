// http-proxy-middleware over node:http, with kept connections to the origin as its documentation advises.
// It has no cache.

import { Agent, type RequestListener } from 'node:http';
import { createProxyMiddleware } from 'http-proxy-middleware';

const connectionsMax = 128;

export function httpProxyMiddleware(originPort: number): RequestListener {
  const proxy = createProxyMiddleware({
    target: `http://127.0.0.1:${originPort}`,
    agent: new Agent({ keepAlive: true, maxSockets: connectionsMax }),
  });
  return (request, response) => {
    proxy(request, response, () => response.destroy()).catch(() => response.destroy());
  };
}
