// Header fields as the small proxies of this directory pass them on: without what belongs to one
// connection alone.

const ofOneConnection: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'host',
]);

type Fields = Readonly<Record<string, string | string[] | undefined>>;

export function passedFields(fields: Fields): Record<string, string | string[]> {
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined && !ofOneConnection.has(name)) passed[name] = value;
  }
  return passed;
}
