// The configuration block of the design, with its names and values as they are printed there
// (one line is broken in two to fit). The promise is that this block loads: whoever
// copies it from the documents gets a working file.

export const fullConfiguration = `
upstream_address: "origin.example.com:80"
enable_cache: true
cache_ttl: 3600
l1_cache_size_bytes: 104857600
enable_l2_cache: true
l2_backend: "raw_disk"
raw_disk_cache:
  device_path: "/var/cache/millrace.disk"
  total_size: 107374182400
  block_size: 4096
  use_direct_io: true
  enable_compression: true
  enable_prefetch: true
  enable_zero_copy: true
metrics_endpoint: { enabled: true, address: "127.0.0.1:9090" }
purge: { enabled: true, auth_token: "\${MILLRACE_PURGE_TOKEN}" }

listen: "127.0.0.1:8080"        # one or a list; tcp, unix:, https
admin: { listen: "unix:/run/millrace/admin.sock" }   # purge, stats, warm, status
lanes: auto                     # native serving threads; 0 = Node serves all
memory_limit: "256MiB"          # all native pages (L1, fills, I/O) and LZ4 scratch
index_memory_limit: "64MiB"     # index, ghosts, purge tables; what it holds is printed at start
upstreams: { hub: { origins: ["https://origin.example.com"], tls: {}, health: {} } }
routes:                         # ordered, first match wins
  - match: { host: "*.example.com", path: "/models/", method: [GET, HEAD] }
    upstream: hub
    cache: { pass: false, ttl: { "200": "1h", "404": "10s" }, override_origin: false, key: {},
             stale: {} }
    rewrite: {}
    headers: {}
    limit_rate: null
`;
