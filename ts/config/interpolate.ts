// ${NAME} in the texts of a configuration. It happens after YAML was parsed, so that the value of a
// variable is always one text and can never become a key, a list or a comment; and what a variable
// holds is not looked into again.

export interface Interpolated {
  readonly value: string;
  /** Sentences about references that could not be resolved. */
  readonly problems: readonly string[];
}

/** `${NAME}`; `${NAME:-default}`, also where NAME is empty; `$${` for the characters `${`. */
export function interpolate(text: string, env: NodeJS.ProcessEnv): Interpolated {
  const problems: string[] = [];
  const value = text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (found, body?: string, end?: string) => {
    if (body === undefined) return '${';
    const reference = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(body);
    if (reference === null || end !== '}') {
      problems.push(
        `found ${JSON.stringify(found)}; ` +
          `allowed: \${NAME}, \${NAME:-default}, or $\${ for the text itself`,
      );
      return '';
    }
    const [, name, fallback] = reference;
    const known = Object.hasOwn(env, name!) ? env[name!] : undefined;
    if (fallback !== undefined) return known === undefined || known === '' ? fallback : known;
    if (known !== undefined) return known;
    problems.push(
      `environment variable ${name} is not set; ` +
        `set it, or write \${${name}:-default} to do without`,
    );
    return '';
  });
  return { value, problems };
}
