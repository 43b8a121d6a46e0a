// Which decisions a compiled module takes, and how each is inverted: conditions, comparisons, connectives,
// truth values, defaults, members of sets. Text in, mutants out; nothing is run here.

import { type Node, parse } from 'acorn';
import { full } from 'acorn-walk';

export interface Mutant {
  /** Of the code that is replaced: offsets in the source text. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** From 1, in the compiled text. */
  readonly line: number;
  readonly column: number;
}

const comparisons: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
};

const connectives: Readonly<Record<string, string>> = { '&&': '||', '||': '&&' };

/** What the parser calls an expression; of its many kinds only these fields are read. */
interface Expression extends Node {
  readonly operator?: string;
  readonly left?: Node;
  readonly right?: Node;
  readonly argument?: Node;
  readonly test?: Node | null;
  readonly value?: unknown;
  readonly callee?: Node & { readonly name?: string };
  readonly arguments?: readonly (Node & { readonly elements?: readonly Node[] })[];
}

/** In the order of the text. Throws SyntaxError for what is no module. */
export function mutantsOf(source: string): readonly Mutant[] {
  const tree = parse(source, { ecmaVersion: 'latest', sourceType: 'module', locations: true });
  const found: Mutant[] = [];
  const replace = (from: Node, to: Node, replacement: string): void => {
    const { line, column } = from.loc!.start;
    found.push({ start: from.start, end: to.end, replacement, line, column });
  };
  const textOf = (node: Node): string => source.slice(node.start, node.end);
  full(tree, (node) => {
    for (const text of inversionsOf(node as Expression, textOf)) replace(node, node, text);
    for (const member of membersOf(node as Expression)) replace(member, member, 'undefined');
    const { test } = node as Expression;
    // A comparison or connective is inverted where it stands; a bare value only has this place.
    if (test && !isInvertedItself(test as Expression)) replace(test, test, `!(${textOf(test)})`);
  });
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

export function apply(source: string, { start, end, replacement }: Mutant): string {
  return source.slice(0, start) + replacement + source.slice(end);
}

function isInvertedItself({ type, operator }: Expression): boolean {
  if (type === 'UnaryExpression') return operator === '!';
  return type === 'BinaryExpression' || type === 'LogicalExpression';
}

function inversionsOf(node: Expression, textOf: (node: Node) => string): string[] {
  switch (node.type) {
    case 'BinaryExpression': {
      const others = comparisons[node.operator!] ?? [];
      // In parentheses: those that stood there are no part of either side.
      return others.map((other) => `(${textOf(node.left!)}) ${other} (${textOf(node.right!)})`);
    }
    case 'LogicalExpression': {
      const [left, right] = [textOf(node.left!), textOf(node.right!)];
      if (node.operator === '??') return [left, right];
      return [`(${left}) ${connectives[node.operator!]} (${right})`];
    }
    case 'UnaryExpression':
      return node.operator === '!' ? [textOf(node.argument!)] : [];
    case 'Literal':
      return typeof node.value === 'boolean' ? [String(!node.value)] : [];
    default:
      return [];
  }
}

/** Of a set that is written out: each of them is a decision about one value. */
function membersOf({ type, callee, arguments: given }: Expression): readonly Node[] {
  const isSet = type === 'NewExpression' && callee?.name === 'Set';
  return isSet ? (given?.[0]?.elements ?? []).filter(({ type }) => type === 'Literal') : [];
}
