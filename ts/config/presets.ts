// Presets: configurations for clients of one ecosystem each, as text that people read, print with
// `millrace preset NAME`, and copy. `preset: NAME` lays the text under the keys of whoever names it; nothing
// else in the program knows these names. docs/reference/presets.md shows each one and how it was tried.

export const presetNames = ['hf', 'oci', 'npm', 'apt', 'hls'] as const;
export type PresetName = (typeof presetNames)[number];

interface Preset {
  /** What it is for, in a line. */
  readonly about: string;
  /** YAML without upstream_address, which it needs, and without a store. */
  readonly text: string;
}

const hf = `# Files of a model hub that redirects to signed URLs of another host.
# Clients: HF_ENDPOINT=http://this.proxy
routes:
  # A commit's file never changes. Clients learn commit, size and ETag from fields of the redirect.
  - match: { path_pattern: "/**/resolve/[0-9a-f]{40}/**" }
    follow_redirects: 5
    redirect_fields: [X-Repo-Commit, X-Linked-ETag, X-Linked-Size]
    cache:
      ttl: { "200": "365d" }
      override_origin: true
      authorization: confirm
      stale: { if_error: "7d", max: "30d", on_429: true }
  # A branch's file may be another one tomorrow: asked for each time, sent only if it is.
  - match: { path_pattern: "/**/resolve/**" }
    follow_redirects: 5
    redirect_fields: [X-Repo-Commit, X-Linked-ETag, X-Linked-Size]
    cache:
      ttl: { "200": "0s" }
      override_origin: true
      authorization: confirm
      stale: { if_error: "7d", max: "30d", on_429: true }
  # What is in a repository.
  - match: { path: "/api/" }
    cache:
      ttl: { "200": "0s" }
      override_origin: true
      authorization: confirm
      stale: { if_error: "7d", max: "30d", on_429: true }
  - cache: { pass: true }
`;

const oci = `# Images and other artefacts of a container registry.
# Clients: this proxy as the registry's mirror, or in place of its name.
routes:
  # Named by their digest: never another content. Registries redirect to signed URLs.
  - match:
      path: "/v2/"
      path_pattern: ["/**/blobs/sha256:[0-9a-f]{64}", "/**/blobs/sha512:[0-9a-f]{128}"]
    follow_redirects: 5
    redirect_fields: [Docker-Content-Digest]
    cache:
      ttl: { "200": "365d" }
      override_origin: true
      authorization: confirm
      stale: { if_error: "7d", max: "30d", on_429: true }
  - match:
      path: "/v2/"
      path_pattern: ["/**/manifests/sha256:[0-9a-f]{64}", "/**/manifests/sha512:[0-9a-f]{128}"]
    cache:
      ttl: { "200": "365d" }
      override_origin: true
      key: { fields: [Accept] }
      authorization: confirm
      stale: { if_error: "7d", max: "30d", on_429: true }
  # Tags move: asked for each time. Which kind of manifest is sent depends on Accept, whatever Vary says.
  - match: { path: "/v2/", path_pattern: "/**/manifests/*" }
    cache:
      ttl: { "200": "0s" }
      override_origin: true
      key: { fields: [Accept] }
      authorization: confirm
      stale: { if_error: "1d", max: "30d", on_429: true }
  # Uploads, lists of tags, the check whether a token is wanted.
  - cache: { pass: true }
`;

const npm = `# Packages of a registry in the manner of npm.
# Clients: the registry's URL is this proxy's.
routes:
  # Search, audit, log in.
  - match: { path: "/-/" }
    cache: { pass: true }
  # A version's archive never changes.
  - match: { path_pattern: "/**/-/**.tgz" }
    follow_redirects: 5
    cache:
      ttl: { "200": "365d" }
      override_origin: true
      authorization: confirm
      stale: { if_error: "7d", max: "30d", on_429: true }
  # What versions there are, in a long and a short form: for as long as the registry says, else a minute.
  - cache:
      ttl: { "200": "1m" }
      key: { fields: [Accept] }
      authorization: confirm
      stale: { if_error: "1d", max: "30d", on_429: true }
`;

const apt = `# Packages of a Debian-like archive.
# Clients: this proxy in place of the archive's host in sources.list.
routes:
  # A package's file name has its version, a by-hash name its checksum.
  - match:
      path_pattern:
        - "/**/pool/**"
        - "/**/by-hash/**"
        - "/**.deb"
        - "/**.udeb"
    follow_redirects: 5
    cache:
      ttl: { "200": "365d" }
      override_origin: true
      authorization: confirm
      stale: { if_error: "7d", max: "30d", on_429: true }
  # InRelease and the lists under it must be of one moment: asked for each time.
  - follow_redirects: 5
    cache:
      ttl: { "200": "0s" }
      override_origin: true
      authorization: confirm
      ignore_request_directives: true
      stale: { if_error: "1d", max: "30d", on_429: true }
`;

const hls = `# Video on demand and live, in segments.
# Clients: this proxy in place of the origin's host.
routes:
  # Playlists of live streams change every few seconds: for as long as the origin says, else one.
  - match: { path_pattern: ["/**.m3u8", "/**.mpd"] }
    cache:
      ttl: { "200": "1s" }
      authorization: confirm
      stale: { if_error: "10s", max: "1m", on_429: true }
  # A segment never changes. One that is not there yet will be in a moment.
  - match:
      path_pattern:
        - "/**.ts"
        - "/**.m4s"
        - "/**.mp4"
        - "/**.m4[av]"
        - "/**.cmf[avt]"
        - "/**.aac"
        - "/**.vtt"
    follow_redirects: 5
    cache:
      ttl: { "200": "1d" }
      authorization: confirm
      stale: { if_error: "7d", max: "7d", on_429: true }
    prefetch: { next: 2 }
  - cache: { authorization: confirm, stale: { on_429: true } }
`;

export const presets: Readonly<Record<PresetName, Preset>> = {
  hf: { about: 'files of a model hub: HF_ENDPOINT', text: hf },
  oci: { about: 'container images and other OCI artefacts', text: oci },
  npm: { about: 'packages of an npm registry', text: npm },
  apt: { about: 'packages of a Debian-like archive', text: apt },
  hls: { about: 'video in segments, HLS and DASH', text: hls },
};

export const isPresetName = (name: unknown): name is PresetName =>
  presetNames.some((known) => known === name);
